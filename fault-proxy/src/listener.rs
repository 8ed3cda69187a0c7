//! The thread's main task: accepts connections, and opens and closes the port.

use crate::Fault;
use crate::connection::Connection;
use crate::control::Control;
use std::future::pending;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::{Arc, mpsc as blocking};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A standing fault to set, and who is to know when it stands.
pub(crate) type Order = (Fault, blocking::Sender<()>);

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Port {
    tokio: TcpListener,
    /// The same socket, to accept from without waiting.
    direct: net::TcpListener,
}

impl Port {
    /// To be called in a runtime.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let direct = net::TcpListener::bind(address)?;
        direct.set_nonblocking(true)?;
        Ok(Self { tokio: TcpListener::from_std(direct.try_clone()?)?, direct })
    }

    /// A connection that is there already.
    fn pending(&self) -> Option<TcpStream> {
        let (stream, _) = self.direct.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    }
}

/// What is needed to accept a connection.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<Control>,
}

impl Listener {
    /// Listens until `orders` end.
    pub(crate) async fn run(self, port: Port, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut port = Some(port);
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some((fault, done)) => {
                        self.set(fault, &mut port);
                        // Who does not wait for it need not know.
                        let _ = done.send(());
                    }
                    None => return,
                },
                Some(client) = accept(port.as_ref()) => self.serve(client),
            }
        }
    }

    /// Sets a standing fault. Who has connected before is accepted before.
    fn set(&self, fault: Fault, port: &mut Option<Port>) {
        while let Some(client) = port.as_ref().and_then(Port::pending) {
            self.serve(client);
        }
        self.control.set(fault);
        if fault == Fault::Refuse {
            *port = None;
        } else if port.is_none() {
            // The port is reserved for this proxy; without it nothing can go on, and who waits is told.
            *port = Some(Port::open(self.address).expect("the proxy's port is its own"));
        }
    }

    fn serve(&self, client: TcpStream) {
        // A client that is gone already does not mind.
        let _ = client.set_nodelay(true);
        self.control.counters.connected();
        let (upstream, control, watch) = (self.control.upstream(), self.control.clone(), self.control.watch());
        tokio::spawn(Connection { client, upstream, control, watch }.serve());
    }
}

/// The next connection; none comes while the port is closed. A failed one is none.
async fn accept(port: Option<&Port>) -> Option<TcpStream> {
    match port {
        Some(port) => port.tokio.accept().await.ok().map(|(client, _)| client),
        None => pending().await,
    }
}
