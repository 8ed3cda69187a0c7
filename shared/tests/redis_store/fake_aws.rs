//! AWS as far as a login needs it: Secrets Manager, and a container's credentials, over HTTP on this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use visits_core::clock::ManualClock;
use visits_core::credentials::Aws;

/// A server that answers whatever it is asked with what it is told to. It ends with the test's process.
pub(crate) struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    status: u16,
    answer: String,
    asked: Vec<String>,
}

impl FakeAws {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { status: 500, answer: String::new(), asked: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&client.unwrap(), &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with this from now on.
    pub(crate) fn answer(&self, status: u16, answer: &str) {
        let mut state = self.state.lock().unwrap();
        (state.status, state.answer) = (status, answer.to_owned());
    }

    /// Holds `secret` from now on, as Secrets Manager tells of it.
    pub(crate) fn hold(&self, secret: &str) {
        let answer = serde_json::json!({"ARN": "arn", "Name": "site/redis", "SecretString": secret});
        self.answer(200, &answer.to_string());
    }

    /// All requests so far, head and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// A caller of this as Secrets Manager.
    pub(crate) fn caller(&self, time: &ManualClock) -> Aws {
        aws_with(time, "AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.url())
    }
}

fn serve(client: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(client);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            request.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request.push_str(std::str::from_utf8(&body).unwrap());
        let mut state = state.lock().unwrap();
        state.asked.push(request);
        let State { status, answer, .. } = &*state;
        let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}", answer.len());
        let mut writer = client;
        write!(writer, "{head}\r\n\r\n{answer}").unwrap();
    }
}

/// The keys that AWS publishes for examples.
pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const VARIABLES: [(&str, &str); 3] =
    [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", KEY)];

/// These variables and one more.
pub(crate) fn aws_with(time: &ManualClock, name: &str, value: &str) -> Aws {
    let more = (name.to_owned(), value.to_owned());
    Aws::of(time.clock(), move |wanted| if wanted == more.0 { Some(more.1.clone()) } else { variable(wanted) })
}

/// Returns the value of one of them.
pub(crate) fn variable(wanted: &str) -> Option<String> {
    VARIABLES.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
}
