//! The handle of a proxy, the choice of faults, and the thread's main task, which accepts connections.

use crate::Fault;
use crate::connection::{Connection, MOMENT};
use fastrand::Rng;
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as blocking};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use test_support::ReservedPort;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

/// A standing fault to set, and the channel that tells its sender that it stands.
type Order = (Fault, blocking::Sender<()>);

/// Standing faults that a connection may be behind.
const MAX_BEHIND: usize = 1024;

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
    /// Starts a proxy that passes everything on to `upstream`, where no server needs to listen yet.
    ///
    /// # Panics
    /// If there is no free port or no thread.
    pub fn start(upstream: SocketAddr) -> Self {
        let port = ReservedPort::new();
        let control = Arc::new(Control { script: Mutex::new(Script::new(upstream)) });
        let (orders, received) = mpsc::unbounded_channel();
        let (address, shared) = (port.address(), Arc::clone(&control));
        let thread = thread::Builder::new().name(format!("fault-proxy-{}", port.number())).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(listen(address, shared, received));
        });
        let proxy = Self { port, control, orders: Some(orders), thread: Some(thread.expect("a thread starts")) };
        proxy.set(Fault::None);
        proxy
    }

    /// Returns where it listens, or refuses to. Stays the same for its whole life.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns [`FaultProxy::address`] as the URL of a Redis server.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Leads the connections that are made from now on to another server, as when a DNS name is given to another
    /// address: those that are open stay where they are. One that is made at the same time may go either way.
    pub fn redirect(&self, upstream: SocketAddr) {
        self.control.script().upstream = upstream;
    }

    /// Makes `fault` the standing fault, and lifts the one before and all silences that were chosen for single
    /// commands. When this returns, the fault strikes all that is sent or connected from now on.
    ///
    /// # Panics
    /// If the proxy's thread has failed.
    pub fn set(&self, fault: Fault) {
        let (done, is_done) = blocking::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send((fault, done)).is_ok());
        assert!(sent && is_done.recv().is_ok(), "the proxy on {} has failed", self.address());
    }

    /// Strikes the next `count` commands that count ([`FaultProxy::only`]) with `fault`, before the standing fault
    /// and the plan are asked. Replaces what is left of an earlier call.
    pub fn fail_next(&self, count: u64, fault: Fault) {
        self.control.script().next = (count, fault);
    }

    /// From now on draws for every command that counts one of `faults` by its probability, or none, unless something
    /// else strikes it. The n-th that asks gets the n-th draw of the seed, on any connection. A delay is drawn from
    /// zero to the one given. A drawn silence lasts for `stall` at most.
    ///
    /// # Panics
    /// If the probabilities are none.
    pub fn plan(&self, seed: u64, faults: &[(f64, Fault)], stall: Duration) {
        let sum: f64 = faults.iter().map(|(rate, _)| rate).sum();
        // Decimal rates that fill 1 exactly may add up to a hair more.
        let fine = faults.iter().all(|(rate, _)| *rate >= 0.0) && sum <= 1.0 + 1e-9;
        assert!(fine, "no probabilities: {faults:?}");
        self.control.script().plan = Some(Plan { random: Rng::with_seed(seed), faults: faults.to_vec(), stall });
    }

    /// Lets only commands of these names, in any case, be struck one by one; others, such as those with which a client
    /// sets up its connection, pass. No names: all commands. Faults that strike connections ask for no name.
    pub fn only(&self, names: &[&str]) {
        self.control.script().names = names.iter().map(ToString::to_string).collect();
    }

    /// Ends all faults: none stands, none is to come, and there is no plan. Leaves [`FaultProxy::only`] as it is, and
    /// connections that are half open.
    pub fn heal(&self) {
        {
            let mut script = self.control.script();
            script.next = (0, Fault::None);
            script.plan = None;
        }
        self.set(Fault::None);
    }

    /// Returns the number of faults that struck, of all kinds: one for each command or connection, counted when it was
    /// chosen. A `CutAfterApply` whose answer never comes is counted too.
    pub fn faults(&self) -> u64 {
        self.control.script().struck.values().sum()
    }

    /// Returns the number of faults of the kind of `fault` that struck; the length of a delay is not looked at.
    pub fn faults_of(&self, fault: Fault) -> u64 {
        self.control.script().struck.get(&discriminant(&fault)).copied().unwrap_or_default()
    }

    /// Returns the number of connections whose late delivery ([`Fault::MuteLate`]) is over: the server has done all of
    /// it, or is gone.
    pub fn delivered_late(&self) -> u64 {
        self.control.script().delivered_late
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // `set` has told of a failure before.
            let _ = thread.join();
        }
    }
}

/// State that a proxy's handle shares with its thread.
#[derive(Debug)]
pub(crate) struct Control {
    script: Mutex<Script>,
}

/// The choice of the commands that are struck, and counts of what was done.
#[derive(Debug)]
pub(crate) struct Script {
    /// The server for connections that are accepted from now on.
    upstream: SocketAddr,
    standing: Fault,
    /// Names of the commands that may be struck; all if there are none.
    names: Vec<String>,
    /// The next commands, so many, get this.
    next: (u64, Fault),
    plan: Option<Plan>,
    struck: HashMap<Discriminant<Fault>, u64>,
    pub(crate) delivered_late: u64,
}

/// Random faults, one for each command that asks.
#[derive(Debug)]
struct Plan {
    random: Rng,
    faults: Vec<(f64, Fault)>,
    stall: Duration,
}

impl Control {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    fn new(upstream: SocketAddr) -> Self {
        let (names, struck) = (Vec::new(), HashMap::new());
        Self { upstream, standing: Fault::None, names, next: (0, Fault::None), plan: None, struck, delivered_late: 0 }
    }

    /// Counts a fault that strikes.
    pub(crate) fn strike(&mut self, fault: Fault) {
        if fault != Fault::None {
            *self.struck.entry(discriminant(&fault)).or_default() += 1;
        }
    }

    /// Returns the fault that strikes the command of this name that was just read, and how long a silence lasts at
    /// most. Asked once for each, in the order of their coming.
    pub(crate) fn decide(&mut self, name: &[u8]) -> (Fault, Option<Duration>) {
        let hit = self.names.is_empty() || self.names.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name));
        let chosen = if !hit {
            (Fault::None, None)
        } else if self.next.0 > 0 {
            self.next.0 -= 1;
            (self.next.1, None)
        } else if self.standing != Fault::None && !self.standing.strikes_connections() {
            (self.standing, None)
        } else {
            self.plan.as_mut().map_or((Fault::None, None), |plan| (plan.draw(), Some(plan.stall)))
        };
        self.strike(chosen.0);
        chosen
    }
}

impl Plan {
    /// Draws the next fault. Always takes two numbers, so that a rate changes no draw but those it is about.
    fn draw(&mut self) -> Fault {
        let (mut which, how_long) = (self.random.f64(), self.random.f64());
        let chosen = self.faults.iter().find(|(rate, _)| {
            which -= rate;
            which < 0.0
        });
        match chosen {
            Some((_, Fault::Delay(longest))) => Fault::Delay(longest.mul_f64(how_long)),
            Some((_, fault)) => *fault,
            None => Fault::None,
        }
    }
}

/// Accepts connections, and opens and closes the port, until `orders` end.
async fn listen(address: SocketAddr, control: Arc<Control>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let faults = broadcast::Sender::new(MAX_BEHIND);
    let serve = |client: TcpStream| {
        // It fails only if the client is gone already.
        let _ = client.set_nodelay(true);
        let (standing, upstream) = {
            let script = control.script();
            (script.standing, script.upstream)
        };
        let connection = Connection::new(client, Arc::clone(&control), faults.subscribe());
        tokio::spawn(connection.serve(standing, upstream));
    };
    let mut port: Option<TcpListener> = None;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((fault, done)) = order else { return };
                // A client that has connected before is accepted before.
                while let Some(listener) = &port
                    && let Ok(Ok((client, _))) = timeout(MOMENT, listener.accept()).await
                {
                    serve(client);
                }
                control.script().standing = fault;
                // It fails only if there is no connection.
                let _ = faults.send(fault);
                if fault == Fault::Refuse {
                    port = None;
                } else if port.is_none() {
                    // The port is reserved for this proxy. Without it, the sender of the order is told.
                    port = Some(TcpListener::bind(address).await.expect("the proxy's port is its own"));
                }
                // It fails only if the sender does not wait for it.
                let _ = done.send(());
            }
            Ok((client, _)) = async { port.as_ref().expect("it is open").accept().await }, if port.is_some() => serve(client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULTS: [Fault; 6] = [
        Fault::Refuse,
        Fault::Mute,
        Fault::MuteLate,
        Fault::Delay(Duration::from_secs(1)),
        Fault::CutAfterApply,
        Fault::HalfOpen,
    ];

    fn draws(seed: u64) -> Vec<Fault> {
        let faults = FAULTS.map(|fault| (0.1, fault)).to_vec();
        let mut plan = Plan { random: Rng::with_seed(seed), faults, stall: Duration::ZERO };
        (0..10_000).map(|_| plan.draw()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_faults_and_another_seed_others() {
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn every_fault_comes_as_often_as_its_rate_says() {
        let draws = draws(1);
        for (fault, expected) in
            FAULTS.map(|fault| (fault, 850..1_150)).into_iter().chain([(Fault::None, 3_700..4_300)])
        {
            let count = draws.iter().filter(|drawn| discriminant(*drawn) == discriminant(&fault)).count();
            assert!(expected.contains(&count), "{fault:?}: {count}");
        }
    }

    #[test]
    #[should_panic(expected = "no probabilities")]
    fn rates_above_one_are_refused() {
        let proxy = FaultProxy::start(([127, 0, 0, 1], 1).into());
        proxy.plan(1, &[(0.6, Fault::Mute), (0.6, Fault::Refuse)], Duration::ZERO);
    }
}
