//! One connection: relays between its two sides until a fault or one of the sides ends that.

use crate::control::{Control, Watch};
use crate::end::End;
use crate::flow::Flow;
use bytes::BytesMut;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: TcpStream,
    pub(crate) upstream: SocketAddr,
    pub(crate) control: Arc<Control>,
    pub(crate) watch: Watch,
}

impl Connection {
    /// Serves it to its end.
    pub(crate) async fn serve(mut self) {
        let mut flow = Flow::new();
        if let Some(end) = self.watch.struck(&self.control.counters) {
            return self.finish(end, None, flow).await;
        }
        // Without a server the client is left alone, as by a server that closes at once.
        if let Ok(mut server) = connect(self.upstream).await {
            let end = self.relay(&mut server, &mut flow).await;
            self.finish(end, Some(server), flow).await;
        }
    }

    /// Relays until that ends. Everything on its way is in `flow`, whenever that is.
    async fn relay(&mut self, server: &mut TcpStream, flow: &mut Flow) -> End {
        let mut told_server = false;
        loop {
            if let Some(end) = self.watch.struck(&self.control.counters) {
                return end;
            }
            flow.absorb(&self.control, &self.watch);
            flow.promote(&self.control);
            if let Some(end) = flow.end() {
                return end;
            }
            if flow.is_passed_on() && !told_server {
                told_server = true;
                // It fails only if the server is gone, and then it cannot be read.
                let _ = server.shutdown().await;
            }
            flow.reserve();
            if self.step(server, flow).await.is_err() {
                return End::Closed;
            }
        }
    }

    /// Moves some bytes, or waits until a command is due or a standing fault set. Fails if the server is gone. All
    /// that it waits for may be given up at any time without losing bytes.
    async fn step(&mut self, server: &mut TcpStream, flow: &mut Flow) -> io::Result<()> {
        let (mut client_in, mut client_out) = self.client.split();
        let (mut server_in, mut server_out) = server.split();
        let (due, is_reading) = (flow.due(), flow.is_reading());
        tokio::select! {
            biased;
            () = self.watch.changed() => {}
            written = server_out.write_buf(&mut flow.outgoing), if !flow.outgoing.is_empty() => drop(written?),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            moved = move_answers(&mut server_in, &mut client_out, &mut flow.answers) => match moved? {
                Moved::Read => flow.judge(),
                Moved::Written => {}
                Moved::ClientGone => flow.client_leaves(),
            },
            read = client_in.read_buf(flow.requests.buffer()), if is_reading => {
                flow.client_done = matches!(read, Ok(0) | Err(_));
            }
        }
        Ok(())
    }
}

/// What came of moving answers.
enum Moved {
    Read,
    Written,
    ClientGone,
}

/// Writes answers to the client, or if there are none reads some. The next ones wait at the server for as long as
/// the client does not take those before. Fails if the server is gone.
async fn move_answers(
    server: &mut ReadHalf<'_>,
    client: &mut WriteHalf<'_>,
    answers: &mut BytesMut,
) -> io::Result<Moved> {
    if !answers.is_empty() {
        return Ok(client.write_buf(answers).await.map_or(Moved::ClientGone, |_| Moved::Written));
    }
    match server.read_buf(answers).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(Moved::Read),
    }
}

/// Opens the server's side of a connection.
pub(crate) async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    Ok(server)
}
