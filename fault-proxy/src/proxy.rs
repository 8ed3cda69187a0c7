//! The handle of a proxy.

use crate::control::Control;
use crate::listener::{Listener, Order, Port};
use crate::plan::Plan;
use crate::{Counters, Fault, Rates};
use std::net::SocketAddr;
use std::sync::{Arc, mpsc as blocking};
use std::thread::{self, JoinHandle};
use test_support::ReservedPort;
use tokio::runtime;
use tokio::sync::mpsc;

/// A proxy in front of one server, on a loopback port and a thread of its own. Stops when dropped: the port is
/// closed, and so are all connections.
///
/// All methods may be called from sync and async code, also in a runtime whose time is paused: the proxy keeps real
/// time. They block for no longer than it takes to hand something to a thread.
#[derive(Debug)]
pub struct FaultProxy {
    port: ReservedPort,
    control: Arc<Control>,
    /// Ends the thread when dropped.
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy that passes everything on to `upstream`, where nobody needs to listen yet.
    ///
    /// # Panics
    /// If there is no free port or no thread.
    pub fn start(upstream: SocketAddr) -> Self {
        let port = ReservedPort::new();
        let control = Arc::new(Control::new(upstream));
        let listener = Listener { address: port.address(), control: control.clone() };
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, is_ready) = blocking::channel();
        let thread = thread::Builder::new().name(format!("fault-proxy-{}", port.number())).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let port = Port::open(listener.address).expect("a reserved port is free");
                // Who started it waits for this.
                let _ = ready.send(());
                listener.run(port, received).await;
            });
        });
        let thread = thread.expect("a thread starts");
        is_ready.recv().expect("the proxy starts");
        Self { port, control, orders: Some(orders), thread: Some(thread) }
    }

    /// Where it listens, or refuses to. Stays the same for its whole life.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// [`FaultProxy::address`] as the URL of a Redis server.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Leads the connections that are made from now on to another server, as when a DNS name is given to another
    /// address: those that are open stay where they are. One that is made at the same time may go either way.
    pub fn redirect(&self, upstream: SocketAddr) {
        self.control.redirect(upstream);
    }

    /// Makes `fault` the standing fault, and lifts the one before and all silences that were chosen for single
    /// commands. When this returns, the fault strikes whatever is sent or connected from now on.
    ///
    /// # Panics
    /// If the proxy's thread has failed.
    pub fn set(&self, fault: Fault) {
        let (done, is_done) = blocking::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send((fault, done)).is_ok());
        assert!(sent && is_done.recv().is_ok(), "the proxy on {} has failed", self.address());
    }

    /// The next `count` commands that count ([`FaultProxy::only`]) are struck by `fault`, before the standing fault
    /// and the plan are asked. Replaces what is left of an earlier call.
    pub fn fail_next(&self, count: u64, fault: Fault) {
        self.control.script().next = (count, fault);
    }

    /// From now on every command that counts gets a random fault, unless something else strikes it. The n-th that
    /// asks gets the n-th fault of the seed's sequence, on whatever connection it comes.
    ///
    /// # Panics
    /// If `rates` are no probabilities.
    pub fn plan(&self, seed: u64, rates: Rates) {
        let plan = Plan::new(seed, rates);
        self.control.script().plan = Some(plan);
    }

    /// Only commands of these names, in any case, are struck one by one; others, such as those with which a client
    /// sets up its connection, pass. No names: all commands. Faults that strike connections ask for no name.
    pub fn only(&self, names: &[&str]) {
        self.control.script().names = names.iter().map(ToString::to_string).collect();
    }

    /// No fault any more: nothing stands, nothing is to come, and no plan. Leaves [`FaultProxy::only`] as it is, and
    /// connections that are half open.
    pub fn heal(&self) {
        {
            let mut script = self.control.script();
            script.next = (0, Fault::None);
            script.plan = None;
        }
        self.set(Fault::None);
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.control.counters
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A failure was told by `set`, or nobody wanted to know.
            let _ = thread.join();
        }
    }
}
