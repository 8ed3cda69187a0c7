//! One connection: relays between its two sides until a fault or one of the sides ends that.

use crate::proxy::Control;
use crate::{Fault, frame};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Room made before each read, in bytes.
const READ: usize = 16 * 1024;

/// Time in which the runtime finds what is there already.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

/// Commands that wait for their time before the client is read no further.
const MAX_WAITING: usize = 100_000;

/// End of a silence that only the next standing fault lifts: longer than any test.
const FOREVER: Duration = Duration::from_hours(30 * 365 * 24);

/// A fault that ends the relaying. `Fault::None`: the client is done, or the server.
#[derive(Clone, Copy, Debug)]
struct End {
    fault: Fault,
    /// End of a silence at the latest.
    until: Instant,
}

impl End {
    fn new(fault: Fault, stall: Option<Duration>) -> Self {
        Self { fault, until: Instant::now() + stall.unwrap_or(FOREVER) }
    }
}

/// A connection that was accepted, with all that is on its way.
#[derive(Debug)]
pub(crate) struct Connection {
    client: TcpStream,
    control: Arc<Control>,
    /// The standing faults that are set from now on.
    faults: broadcast::Receiver<Fault>,
    /// Bytes of the client that are no whole command yet.
    requests: BytesMut,
    /// Commands that are not passed on yet, with their time.
    waiting: VecDeque<(Instant, BytesMut)>,
    /// Bytes to be written to the server.
    outgoing: BytesMut,
    /// Bytes of the server that are no whole answer yet.
    replies: BytesMut,
    /// Bytes to be written to the client.
    answers: BytesMut,
    /// Answers that the client is to get before the stop.
    awaited: usize,
    /// The fault of the last command, behind which nothing is passed on.
    stop: Option<End>,
    /// Commands and answers cannot be told apart any more.
    raw: bool,
    /// The client will send nothing more.
    client_done: bool,
    /// The client takes nothing more.
    client_gone: bool,
}

impl Connection {
    pub(crate) fn new(client: TcpStream, control: Arc<Control>, faults: broadcast::Receiver<Fault>) -> Self {
        Self {
            client,
            control,
            faults,
            requests: BytesMut::new(),
            waiting: VecDeque::new(),
            outgoing: BytesMut::new(),
            replies: BytesMut::new(),
            answers: BytesMut::new(),
            awaited: 0,
            stop: None,
            raw: false,
            client_done: false,
            client_gone: false,
        }
    }

    /// Serves the connection, which was accepted under the fault `standing`, to its end.
    pub(crate) async fn serve(mut self, standing: Fault, upstream: SocketAddr) {
        // A silence that stands strikes new connections too.
        if standing.is_mute() {
            self.control.script().strike(standing);
            return self.finish(End::new(standing, None), None, upstream).await;
        }
        // Without a server the connection is closed, as by a server that closes at once.
        if let Ok(mut server) = connect(upstream).await {
            let end = self.relay(&mut server).await;
            self.finish(end, Some(server), upstream).await;
        }
    }

    /// Relays until a fault or a side ends that. All that is on its way is in the fields then.
    async fn relay(&mut self, server: &mut TcpStream) -> End {
        let mut is_server_told = false;
        loop {
            while let Ok(fault) = self.faults.try_recv() {
                if let Some(end) = self.set(fault) {
                    return end;
                }
            }
            self.absorb();
            let now = Instant::now();
            while let Some((_, command)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
                self.outgoing.unsplit(command);
            }
            if let Some(end) = self.stopped() {
                return end;
            }
            let is_passed_on = self.client_done && self.waiting.is_empty() && self.outgoing.is_empty();
            if is_passed_on && !is_server_told {
                is_server_told = true;
                // It fails only if the server is gone, and then it cannot be read.
                let _ = server.shutdown().await;
            }
            match self.step(server).await {
                Ok(Some(end)) => return end,
                Ok(None) => {}
                Err(_) => return End::new(Fault::None, None),
            }
        }
    }

    /// Moves some bytes, or waits until a command is due or a standing fault set, of which it returns the end. Fails if
    /// the server is gone. All that it waits for may be given up at any time without losing bytes.
    async fn step(&mut self, server: &mut TcpStream) -> io::Result<Option<End>> {
        let due = self.waiting.front().map(|(due, _)| *due);
        let is_reading = self.stop.is_none() && !self.client_done && self.waiting.len() < MAX_WAITING;
        self.requests.reserve(READ);
        self.replies.reserve(READ);
        let (mut client_in, mut client_out) = self.client.split();
        let (mut server_in, mut server_out) = server.split();
        tokio::select! {
            biased;
            fault = self.faults.recv() => return Ok(fault.ok().and_then(|fault| self.set(fault))),
            written = server_out.write_buf(&mut self.outgoing), if !self.outgoing.is_empty() => drop(written?),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            // The next answers wait at the server for as long as the client does not take those before.
            written = client_out.write_buf(&mut self.answers), if !self.answers.is_empty() => if written.is_err() {
                // Its commands are passed on all the same, as by a network.
                (self.client_done, self.client_gone) = (true, true);
                self.answers.clear();
            },
            read = server_in.read_buf(&mut self.replies), if self.answers.is_empty() => {
                if read? == 0 {
                    return Ok(Some(End::new(Fault::None, None)));
                }
                self.judge();
            }
            read = client_in.read_buf(&mut self.requests), if is_reading => {
                self.client_done = matches!(read, Ok(0) | Err(_));
            }
        }
        Ok(None)
    }

    /// Takes note of a standing fault that was set, and returns the end that it makes of the connection, if any.
    fn set(&mut self, fault: Fault) -> Option<End> {
        // It lifts a silence that waits for the answers before it.
        self.stop = self.stop.map(|stop| End { until: Instant::now(), ..stop });
        fault.strikes_connections().then(|| {
            self.control.script().strike(fault);
            End::new(fault, None)
        })
    }

    /// Takes the commands that have come, and decides what becomes of each.
    fn absorb(&mut self) {
        while self.stop.is_none() && !self.requests.is_empty() {
            let now = Instant::now();
            let length = if self.raw { Err(frame::Malformed) } else { frame::length(&self.requests) };
            let Ok(length) = length else {
                self.raw = true;
                return self.waiting.push_back((now, self.requests.split()));
            };
            let Some(length) = length else { return };
            // An array without a name gets no answer from some servers, and would shift the answers of the rest.
            let Some(name) = frame::name(&self.requests[..length]) else {
                self.raw = true;
                continue;
            };
            // Behind it a primary sends its data and its commands.
            self.raw = name.eq_ignore_ascii_case(b"PSYNC");
            let (fault, stall) = self.control.script().decide(name);
            let (delay, stop) = match fault {
                Fault::None => (Duration::ZERO, None),
                Fault::Delay(delay) => (delay.min(FOREVER), None),
                _ => (Duration::ZERO, Some(End::new(fault, stall))),
            };
            self.stop = stop;
            // A command that is not passed on stays where it is.
            if stop.is_none() || fault == Fault::CutAfterApply {
                self.waiting.push_back((now + delay, self.requests.split_to(length)));
            }
            self.awaited += usize::from(stop.is_none());
        }
    }

    /// Takes the answers that have come, and lets the client have those that it is to get.
    fn judge(&mut self) {
        while !self.replies.is_empty() {
            let length = if self.raw { Err(frame::Malformed) } else { frame::length(&self.replies) };
            let length = match length {
                Ok(Some(length)) => length,
                Ok(None) => return,
                Err(frame::Malformed) => {
                    self.raw = true;
                    self.replies.len()
                }
            };
            let answer = self.replies.split_to(length);
            // A push message is no answer.
            if answer[0] != b'>' {
                if let (0, Some(stop)) = (self.awaited, &mut self.stop) {
                    // The answer to withhold has come, and is the last one.
                    stop.fault = Fault::CutBeforeApply;
                    return;
                }
                self.awaited = self.awaited.saturating_sub(1);
            }
            if !self.client_gone {
                self.answers.unsplit(answer);
            }
        }
    }

    /// Returns the end of the connection, if all answers before it have reached the client.
    fn stopped(&self) -> Option<End> {
        let stop = self.stop?;
        let is_due = self.awaited == 0 && self.replies.is_empty() && stop.fault != Fault::CutAfterApply;
        // Without boundaries there is nothing to wait for.
        ((is_due || self.raw) && self.answers.is_empty()).then_some(stop)
    }

    /// Does with the connection what its end says.
    async fn finish(mut self, end: End, server: Option<TcpStream>, upstream: SocketAddr) {
        match end.fault {
            Fault::HalfOpen => drop(tokio::join!(retire(server), swallow(&mut self.client))),
            Fault::Mute => {
                let silence = async {
                    tokio::select! {
                        _ = timeout_at(end.until, self.faults.recv()) => {}
                        // A client that has left is not waited for.
                        () = swallow(&mut self.client) => {}
                    }
                };
                tokio::join!(retire(server), silence);
            }
            Fault::MuteLate => self.deliver_late(end.until, server, upstream).await,
            fault => {
                if fault == Fault::Refuse {
                    // It fails only if the connection is gone already.
                    let _ = self.client.set_zero_linger();
                }
                drop(self.client);
                retire(server).await;
            }
        }
    }

    /// Collects the client's bytes until the lift, and delivers them then. The client is let go when the server has done
    /// it all.
    async fn deliver_late(mut self, until: Instant, server: Option<TcpStream>, upstream: SocketAddr) {
        let lifted = timeout_at(until, self.faults.recv());
        tokio::pin!(lifted);
        loop {
            tokio::select! {
                biased;
                _ = &mut lifted => break,
                read = self.client.read_buf(&mut self.requests), if !self.client_done => {
                    self.client_done = matches!(read, Ok(0) | Err(_));
                }
            }
        }
        // What was sent before the lift belongs before it. Bytes that are there are read before the time is up.
        while let Ok(Ok(1..)) = timeout(MOMENT, self.client.read_buf(&mut self.requests)).await {}
        let mut bytes = self.outgoing;
        self.waiting.into_iter().for_each(|(_, command)| bytes.unsplit(command));
        bytes.unsplit(self.requests);
        let server = match server {
            Some(server) => Ok(server),
            None => connect(upstream).await,
        };
        if let Ok(mut server) = server {
            let (mut input, mut output) = server.split();
            let write = async {
                output.write_all(&bytes).await?;
                output.shutdown().await
            };
            let mut nowhere = io::sink();
            // A server that is gone loses it.
            let _ = tokio::join!(write, io::copy(&mut input, &mut nowhere));
        }
        self.control.script().delivered_late += 1;
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

/// Opens the server's side of a connection.
async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    Ok(server)
}
