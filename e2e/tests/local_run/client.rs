//! A plain HTTP client.

use serde_json::Value;
use std::time::Duration;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Body};

pub(crate) const PROBLEM: &str = "application/problem+json";

/// Longest wait for an answer on a busy machine. The functions have started by the time the local run says that it is ready.
const PATIENCE: Duration = Duration::from_mins(2);

/// A client of the emulator. Threads share its connections.
pub(crate) struct Client {
    agent: Agent,
    base: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(PATIENCE));
        let config = config.max_redirects(0);
        Self { agent: config.build().new_agent(), base: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json").body(body.to_owned()).unwrap();
        let answer = self.agent.run(request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let (parts, body): (_, Body) = answer.into_parts();
        let body = { body }.read_to_string().unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Invokes a function as AWS' API would.
    pub(crate) fn invoke(&self, function: &str, event: &Value) -> Answer {
        self.send("POST", &format!("/2015-03-31/functions/{function}/invocations"), &event.to_string())
    }
}
