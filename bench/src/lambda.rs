//! One execution environment: a function's process, and a Runtime API (2018-06-01) that hands it events as fast as they
//! are asked for and takes the time from each event to its answer.
//!
//! `lambda-simulator` freezes and thaws as Lambda does, which takes longer than an invocation. Here nothing lies between
//! two events, and HTTP is read by hand: the work of this side is the same for all that are measured, and a large one
//! would hide their difference.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use test_support::Process;

/// Longest start and longest run.
const PATIENCE: Duration = Duration::from_mins(5);

/// A function that makes the body of the event with a number.
pub type Events = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// Times of a run of events.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the first event to the last answer.
    pub wall: Duration,
    /// From an event to its answer, for each, in no order.
    pub latencies: Vec<Duration>,
    /// The first answers that did not hold the wanted text.
    wrong: Vec<String>,
}

/// A function's process and the Runtime API that drives it. Both end when it is dropped.
pub struct Environment {
    /// The process.
    pub process: Process,
    ok: &'static str,
    started: Instant,
    address: SocketAddr,
    api: Arc<RuntimeApi>,
}

impl Environment {
    /// Starts a command with these variables besides Lambda's, on processor `cpu` if one is given. `ok` is in every
    /// right answer.
    pub(crate) fn start(
        command: &mut Command,
        env: &[(String, String)],
        cpu: Option<usize>,
        ok: &'static str,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, api) = (listener.local_addr()?, Arc::<RuntimeApi>::default());
        let accepting = Arc::clone(&api);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.lock().closed {
                    return;
                }
                let api = Arc::clone(&accepting);
                // A connection that breaks belongs to a process that has ended.
                thread::spawn(move || api.serve(stream));
            }
        });
        command.env_clear().envs(LAMBDA).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string()).envs(env.iter().cloned());
        let started = Instant::now();
        let process = on_cpu(cpu, || Process::start(command))?;
        Ok(Self { process, ok, started, address, api })
    }

    /// Returns the time from the start of the process to its first `/next`.
    ///
    /// # Panics
    /// If it never asks.
    pub fn init(&self) -> Duration {
        let first = self.api.wait(|state| state.first_next.is_some()).first_next;
        first.expect("the function asks for an event").duration_since(self.started)
    }

    /// Runs the events with these numbers, each as soon as it is asked for, until the runtime asks for one more.
    ///
    /// # Panics
    /// If one is not answered, or is answered wrongly.
    pub fn run(&self, events: &Events, numbers: Range<usize>) -> Run {
        self.run_for(events, numbers, self.ok)
    }

    /// Runs events, each of whose answers holds `wanted`.
    ///
    /// # Panics
    /// If one is not answered, or not with `wanted`.
    pub fn run_for(&self, events: &Events, numbers: Range<usize>, wanted: &'static str) -> Run {
        let count = numbers.len();
        self.api.lock().work = Some(Work { events: Arc::clone(events), numbers, wanted, began: Instant::now() });
        self.api.work.notify_all();
        let mut state = self.api.wait(|state| state.run.latencies.len() == count && state.waiting > 0);
        let run = std::mem::take(&mut state.run);
        assert_eq!(run.latencies.len(), count, "events that were answered in {PATIENCE:?}");
        assert!(run.wrong.is_empty(), "answers without {wanted:?}: {:?}", run.wrong);
        run
    }

    /// Returns the processor time that the process has used, user and system, in milliseconds.
    pub fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
    }

    /// Returns the memory of the process that is in RAM (`VmRSS`), in bytes.
    pub fn resident(&self) -> f64 {
        let statm = self.proc("statm");
        let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
        pages * rustix::param::page_size() as f64
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("/proc tells of a process")
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.api.lock().closed = true;
        self.api.work.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Runs `start` with this thread on processor `cpu`: a child inherits it, and set on the child, it might come too late.
fn on_cpu<T>(cpu: Option<usize>, start: impl FnOnce() -> T) -> T {
    let (Some(cpu), Ok(all)) = (cpu, sched_getaffinity(None)) else { return start() };
    let mut one = CpuSet::new();
    one.set(cpu);
    // Where it is not allowed, the processor is shared, and the figures are a little less even.
    let _ = sched_setaffinity(None, &one);
    let started = start();
    let _ = sched_setaffinity(None, &all);
    started
}

#[derive(Default)]
struct RuntimeApi {
    state: Mutex<State>,
    /// Notified when there is work, or there will be none any more.
    work: Condvar,
    /// Notified when a connection waits for an event and there is none.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    work: Option<Work>,
    closed: bool,
    waiting: usize,
    first_next: Option<Instant>,
    /// Events handed out, over all runs.
    begun: u64,
    sent: HashMap<u64, Instant>,
    run: Run,
}

struct Work {
    events: Events,
    numbers: Range<usize>,
    wanted: &'static str,
    began: Instant,
}

impl RuntimeApi {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.idle.wait_timeout_while(self.lock(), PATIENCE, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Serves one connection of a runtime or an extension.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut connection = BufReader::with_capacity(16 << 10, stream);
        while let Some((path, body)) = request(&mut connection)? {
            let answer = if path.ends_with("/invocation/next") {
                let Some(event) = self.next_event() else { return Ok(()) };
                event
            } else if path.ends_with("/extension/register") {
                response("lambda-extension-identifier: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n", FUNCTION)
            } else if path.ends_with("/extension/event/next") {
                // No event for it comes: held until the peer closes the connection.
                return io::copy(&mut connection, &mut io::sink()).map(|_| ());
            } else {
                self.answered(&path, &body);
                b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec()
            };
            connection.get_mut().write_all(&answer)?;
        }
        Ok(())
    }

    /// Returns the answer to a `/next`, once there is an event for it; `None` when there will be none.
    fn next_event(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        state.first_next.get_or_insert_with(Instant::now);
        state.waiting += 1;
        if state.work.as_ref().is_none_or(|work| work.numbers.is_empty()) {
            self.idle.notify_all();
        }
        loop {
            if state.closed {
                return None;
            }
            if let Some((number, events)) =
                state.work.as_mut().and_then(|work| Some((work.numbers.next()?, Arc::clone(&work.events))))
            {
                state.waiting -= 1;
                state.begun += 1;
                let id = state.begun;
                let headers = format!("lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-{id:012}\r\n{HEADERS}");
                let answer = response(&headers, &events(number));
                state.sent.insert(id, Instant::now());
                return Some(answer);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes the answer to an event, or what else was posted as a wrong one.
    fn answered(&self, path: &str, body: &[u8]) {
        let (now, mut state) = (Instant::now(), self.lock());
        let id = path.rsplit('/').nth(1).and_then(|id| id.rsplit('-').next()).and_then(|id| id.parse().ok());
        let sent = id.and_then(|id: u64| state.sent.remove(&id));
        let (wanted, began) = state.work.as_ref().map_or(("", now), |work| (work.wanted, work.began));
        let holds = path.ends_with("/response") && body.windows(wanted.len()).any(|part| part == wanted.as_bytes());
        if state.run.wrong.len() < 3 && !holds {
            state.run.wrong.push(format!("{path}: {}", String::from_utf8_lossy(body)));
        }
        if let Some(sent) = sent {
            state.run.latencies.push(now.duration_since(sent));
            state.run.wall = now.duration_since(began);
        }
    }
}

/// Reads a request's path and body; `None` when the peer has closed the connection.
fn request(connection: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut chunked) = (0, false);
    while next_line(connection, &mut line)? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked";
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    while chunked {
        next_line(connection, &mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let begun = body.len();
        body.resize(begun + size, 0);
        connection.read_exact(&mut body[begun..])?;
        next_line(connection, &mut line)?;
        chunked = size > 0;
    }
    Ok(Some((path, body)))
}

fn next_line(connection: &mut impl BufRead, line: &mut String) -> io::Result<usize> {
    line.clear();
    connection.read_line(line)
}

fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answer to an extension that registers.
const FUNCTION: &[u8] = br#"{"functionName":"measured","functionVersion":"$LATEST","handler":"bootstrap"}"#;

/// Headers of every event.
const HEADERS: &str = "content-type: application/json\r\n\
    lambda-runtime-deadline-ms: 4102444800000\r\n\
    lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:measured\r\n\
    lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n";

/// Variables that Lambda sets, as far as they make a difference.
const LAMBDA: [(&str, &str); 12] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "[$LATEST]1"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_DEFAULT_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "simulated"),
    ("AWS_SECRET_ACCESS_KEY", "simulated"),
    ("AWS_SESSION_TOKEN", "simulated"),
    ("_HANDLER", "bootstrap"),
];
