//! A Runtime API (2018-06-01) that hands out events as fast as they are asked for, and takes the time from each
//! event to its answer. `lambda-simulator` freezes and thaws as Lambda does, which takes longer than an
//! invocation; here nothing is between two of them.

use crate::wire::{Connection, response};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Makes the body of the event with this number.
pub type Events = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// What one run of events took.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the first event to the last answer.
    pub wall: Duration,
    /// From an event to its answer, for each, in no order.
    pub latencies: Vec<Duration>,
    /// Answers that did not hold the wanted text, with the first of them.
    pub wrong: Vec<String>,
}

/// A Runtime API for one environment. Its connections end when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        // Nobody else connects to it any more: wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is work, or there will be none any more: connections that wait for an event wait for this.
    work: Condvar,
    /// A connection waits for an event and there is none: [`RuntimeApi::run`] waits for this.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    work: Option<Work>,
    closed: bool,
    /// Events handed out and answered, over all runs.
    begun: u64,
    waiting: usize,
    first_next: Option<Instant>,
    sent: HashMap<u64, Instant>,
    run: Run,
}

struct Work {
    events: Events,
    wanted: &'static str,
    next: usize,
    count: usize,
    began: Instant,
    /// Time between two events; none: at once.
    pace: Duration,
}

impl RuntimeApi {
    /// Starts serving on a free port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let api = Self { address: listener.local_addr()?, shared: Arc::default() };
        let shared = Arc::clone(&api.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.lock().closed {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A connection that breaks is the process that ended.
                thread::spawn(move || shared.serve(stream));
            }
        });
        Ok(api)
    }

    /// Where it listens: the value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the first `/next` came, waiting for it for at most `bound`.
    pub fn first_next(&self, bound: Duration) -> Option<Instant> {
        self.shared.wait(bound, |state| state.first_next.is_some()).first_next
    }

    /// Hands out `count` events, each of whose answers must hold `wanted`, and returns when all are answered and the
    /// runtime asks for the next. `pace`: the time between two events; zero hands each out when it is asked for.
    ///
    /// # Errors
    /// If it takes longer than `bound`.
    pub fn run(
        &self,
        events: &Events,
        wanted: &'static str,
        count: usize,
        pace: Duration,
        bound: Duration,
    ) -> Result<Run, String> {
        {
            let mut state = self.shared.lock();
            state.run = Run::default();
            let (events, began) = (Arc::clone(events), Instant::now());
            state.work = Some(Work { events, wanted, next: 0, count, began, pace });
            self.shared.work.notify_all();
        }
        let mut state = self.shared.wait(bound, |state| state.run.latencies.len() == count && state.waiting > 0);
        if state.run.latencies.len() < count {
            return Err(format!("{} of {count} events were answered in {bound:?}", state.run.latencies.len()));
        }
        Ok(std::mem::take(&mut state.run))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, bound: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.idle.wait_timeout_while(self.lock(), bound, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        while let Some(request) = connection.next()? {
            let path = request.path.as_str();
            if path.ends_with("/invocation/next") {
                let Some(event) = self.next_event() else { return Ok(()) };
                connection.answer(&event)?;
            } else if path.ends_with("/response") {
                self.answered(path, &request.body);
                connection.answer(ACCEPTED)?;
            } else if path.ends_with("/extension/register") {
                let headers = "lambda-extension-identifier: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n";
                connection.answer(&response("200 OK", headers, FUNCTION))?;
            } else if path.ends_with("/extension/event/next") {
                return connection.hold();
            } else {
                self.lock().run.wrong.push(format!("{path}: {}", String::from_utf8_lossy(&request.body)));
                self.answered(path, b"");
                connection.answer(ACCEPTED)?;
            }
        }
        Ok(())
    }

    /// The answer to a `/next`, when there is an event for it; `None` when there will be none.
    fn next_event(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        state.first_next.get_or_insert_with(Instant::now);
        state.waiting += 1;
        if state.work.as_ref().is_none_or(|work| work.next == work.count) {
            self.idle.notify_all();
        }
        loop {
            if state.closed {
                return None;
            }
            if let Some(work) = state.work.as_mut().filter(|work| work.next < work.count) {
                let number = work.next;
                let due = work.began + work.pace * u32::try_from(number).unwrap_or(u32::MAX);
                work.next += 1;
                let event = (work.events)(number);
                state.waiting -= 1;
                state.begun += 1;
                let id = state.begun;
                if let Some(early) = due.checked_duration_since(Instant::now()) {
                    drop(state);
                    thread::sleep(early);
                    state = self.lock();
                }
                let answer = event_response(id, &event);
                state.sent.insert(id, Instant::now());
                return Some(answer);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answered(&self, path: &str, body: &[u8]) {
        let now = Instant::now();
        let mut state = self.lock();
        let id = path.rsplit('/').nth(1).and_then(|id| id.rsplit('-').next()).and_then(|id| id.parse().ok());
        let Some(sent) = id.and_then(|id: u64| state.sent.remove(&id)) else { return };
        let (wanted, began) = state.work.as_ref().map_or(("", now), |work| (work.wanted, work.began));
        if state.run.wrong.len() < 3 && !holds(body, wanted) {
            state.run.wrong.push(String::from_utf8_lossy(body).into_owned());
        }
        state.run.latencies.push(now.duration_since(sent));
        state.run.wall = now.duration_since(began);
    }
}

/// What an extension is told about its function.
const FUNCTION: &[u8] = br#"{"functionName":"measured","functionVersion":"$LATEST","handler":"bootstrap"}"#;

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// An invocation as the Runtime API hands it over.
fn event_response(id: u64, event: &[u8]) -> Vec<u8> {
    const HEADERS: &str = "content-type: application/json\r\n\
        lambda-runtime-deadline-ms: 4102444800000\r\n\
        lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:measured\r\n\
        lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n";
    let headers = format!("lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-{id:012}\r\n{HEADERS}");
    response("200 OK", &headers, event)
}

fn holds(body: &[u8], wanted: &str) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|part| part == wanted.as_bytes())
}
