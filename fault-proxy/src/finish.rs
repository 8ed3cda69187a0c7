//! What is done with a connection when nothing more is relayed on it.

use crate::connection::{Connection, connect};
use crate::end::{End, Lift};
use crate::flow::Flow;
use bytes::BytesMut;
use std::io::{ErrorKind, Read};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

impl Connection {
    /// Does what the end of the relaying says.
    pub(crate) async fn finish(mut self, end: End, server: Option<TcpStream>, flow: Flow) {
        match end {
            End::Closed | End::Cut => drop(self.client),
            End::Reset => {
                // It fails only if the connection is gone already.
                let _ = self.client.set_zero_linger();
                drop(self.client);
            }
            End::Silent => {
                tokio::join!(retire(server), swallow(&mut self.client));
                return;
            }
            End::Muted { late: true, lift } => return self.deliver_late(lift, server, flow).await,
            End::Muted { late: false, lift } => {
                let silence = async {
                    tokio::select! {
                        () = self.watch.lifted(lift) => {}
                        // Who has left is not waited for.
                        () = swallow(&mut self.client) => {}
                    }
                };
                tokio::join!(retire(server), silence);
                return;
            }
        }
        retire(server).await;
    }

    /// Collects what the client sends until the lift, and delivers it then. The client is let go when the server
    /// has done it all.
    async fn deliver_late(mut self, lift: Lift, server: Option<TcpStream>, flow: Flow) {
        let mut open = !flow.client_done;
        let mut bytes = flow.into_undelivered();
        let lifted = self.watch.lifted(lift);
        tokio::pin!(lifted);
        loop {
            tokio::select! {
                biased;
                () = &mut lifted => break,
                read = self.client.read_buf(&mut bytes), if open => open = !matches!(read, Ok(0) | Err(_)),
            }
        }
        let Ok(client) = self.client.into_std() else { return };
        take_rest(&client, &mut bytes);
        let server = match server {
            Some(server) => Ok(server),
            None => connect(self.upstream).await,
        };
        if let Ok(server) = server {
            deliver(server, &bytes).await;
        }
        self.control.counters.deliver_late();
    }
}

/// Reads and forgets until the other side closes.
async fn swallow(stream: &mut TcpStream) {
    let _ = io::copy(stream, &mut io::sink()).await;
}

/// Leaves the server so that it still does what it was sent: a socket closed with answers unread would reset the
/// connection, and a reset lets the server forget commands.
async fn retire(server: Option<TcpStream>) {
    if let Some(mut server) = server {
        let _ = server.shutdown().await;
        swallow(&mut server).await;
    }
}

/// Sends the last of a connection, and waits until the server has done it. A server that is gone loses it.
async fn deliver(mut server: TcpStream, bytes: &[u8]) {
    let (mut input, mut output) = server.split();
    let write = async {
        output.write_all(bytes).await?;
        output.shutdown().await
    };
    let mut nowhere = io::sink();
    let _ = tokio::join!(write, io::copy(&mut input, &mut nowhere));
}

/// Takes what has arrived and was not read, without waiting: what was sent before a lift belongs before it.
fn take_rest(mut client: &std::net::TcpStream, bytes: &mut BytesMut) {
    let mut chunk = [0; 4096];
    loop {
        match client.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
