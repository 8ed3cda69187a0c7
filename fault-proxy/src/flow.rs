//! What is on its way on one connection, without the sockets.

use crate::Fault;
use crate::control::{Control, Watch};
use crate::end::{self, End};
use crate::replies::{Mark, Replies};
use crate::requests::{self, Piece, Requests};
use bytes::BytesMut;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Room made before each read, in bytes.
const READ: usize = 16 * 1024;

/// Commands that wait for their time before the client is read no further.
const MOST_WAITING: usize = 100_000;

/// The commands and answers on one connection, in their order.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) requests: Requests,
    waiting: VecDeque<Waiting>,
    /// To be written to the server.
    pub(crate) outgoing: BytesMut,
    /// The command at which all stops.
    kept: BytesMut,
    replies: Replies,
    /// To be written to the client.
    pub(crate) answers: BytesMut,
    /// A command was struck behind which nothing is passed on.
    stopped: bool,
    /// The client will send nothing more.
    pub(crate) client_done: bool,
    /// The client takes nothing more.
    client_gone: bool,
}

/// A command that is not passed on yet.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    bytes: BytesMut,
    /// `None` for what is no command.
    mark: Option<Mark>,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            requests: Requests::new(),
            waiting: VecDeque::new(),
            outgoing: BytesMut::new(),
            kept: BytesMut::new(),
            replies: Replies::new(),
            answers: BytesMut::new(),
            stopped: false,
            client_done: false,
            client_gone: false,
        }
    }

    /// Takes the commands that have come, and decides what becomes of each.
    pub(crate) fn absorb(&mut self, control: &Control, watch: &Watch) {
        let now = Instant::now();
        while !self.stopped
            && let Some(piece) = self.requests.next()
        {
            match piece {
                Piece::Command(bytes) => self.take(bytes, now, control, watch),
                Piece::Raw(bytes) => {
                    self.replies.give_up();
                    self.waiting.push_back(Waiting { due: now, bytes, mark: None });
                }
            }
        }
    }

    fn take(&mut self, bytes: BytesMut, now: Instant, control: &Control, watch: &Watch) {
        let strike = control.decide(requests::name(&bytes).unwrap_or_default());
        let muted = |late| Mark::Stop(End::Muted { late, lift: watch.lift(strike.stall) });
        let (due, mark) = match strike.fault {
            Fault::None => (now, Mark::Pass),
            Fault::Delay(delay) => (end::after(delay), Mark::Pass),
            Fault::CutAfterApply => (now, Mark::Withhold),
            Fault::CutBeforeApply => (now, Mark::Stop(End::Cut)),
            Fault::Refuse => (now, Mark::Stop(End::Reset)),
            Fault::HalfOpen => (now, Mark::Stop(End::Silent)),
            Fault::Mute => (now, muted(false)),
            Fault::MuteLate => (now, muted(true)),
        };
        self.stopped = mark != Mark::Pass;
        self.waiting.push_back(Waiting { due, bytes, mark: Some(mark) });
    }

    /// Lets go what is due. A command whose mark is a stop, which is the last one, is kept.
    pub(crate) fn promote(&mut self, control: &Control) {
        let now = Instant::now();
        while let Some(first) = self.waiting.pop_front_if(|first| first.due <= now) {
            if let Some(mark) = first.mark {
                self.replies.expect(mark);
                if let Mark::Stop(_) = mark {
                    self.kept = first.bytes;
                    return;
                }
                control.counters.forward();
            }
            self.outgoing.unsplit(first.bytes);
        }
    }

    /// When the next command is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.due)
    }

    /// Takes what the server has sent, from `answers`.
    pub(crate) fn judge(&mut self) {
        self.replies.judge(&mut self.answers);
        if self.client_gone {
            self.answers.clear();
        }
    }

    /// The client has closed or reset its side: its commands are passed on all the same, as by a network.
    pub(crate) fn client_leaves(&mut self) {
        self.client_done = true;
        self.client_gone = true;
        self.answers.clear();
    }

    /// How the connection ends now, if it does.
    pub(crate) fn end(&self) -> Option<End> {
        self.replies.end().filter(|_| self.answers.is_empty())
    }

    /// Whether the client is read.
    pub(crate) fn is_reading(&self) -> bool {
        !self.stopped && !self.client_done && self.waiting.len() < MOST_WAITING
    }

    /// Whether all is passed on that will ever be.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.client_done && self.waiting.is_empty() && self.outgoing.is_empty()
    }

    /// Makes room for the next read of either side.
    pub(crate) fn reserve(&mut self) {
        self.requests.buffer().reserve(READ);
        self.answers.reserve(READ);
    }

    /// What has come and was not passed on, in its order.
    pub(crate) fn into_undelivered(mut self) -> BytesMut {
        let mut bytes = self.outgoing;
        self.waiting.into_iter().for_each(|waiting| bytes.unsplit(waiting.bytes));
        bytes.unsplit(self.kept);
        bytes.unsplit(self.requests.buffer().split());
        bytes
    }
}
