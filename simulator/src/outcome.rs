//! What an invocation comes to, and the errors that Lambda itself words.

use crate::EnvironmentId;
use hyper::body::Bytes;
use serde_json::json;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::ExitStatus;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;

/// An invocation that reached an environment.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, as the function saw it.
    pub request_id: String,
    /// What the function answered, or the description of its error.
    pub payload: Vec<u8>,
    /// The kind of error, as in the header `X-Amz-Function-Error` ("Unhandled"). None: the function succeeded.
    pub function_error: Option<String>,
    /// The environment that served it.
    pub environment: EnvironmentId,
    /// Whether an environment had to be started for it.
    pub cold_start: bool,
    /// Time from its receipt to its answer, start skew and cold start included.
    pub time: Duration,
}

/// An invocation that has begun. Await it for its outcome, in any runtime.
#[derive(Debug)]
#[must_use = "an invocation goes on without it, but nobody gets its answer"]
pub struct PendingInvocation(pub(crate) JoinHandle<Result<Invocation, InvokeError>>);

impl Future for PendingInvocation {
    type Output = Result<Invocation, InvokeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The task itself fails only with the simulator's runtime.
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or(Err(InvokeError::Stopped)))
    }
}

/// Why an invocation reached no environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvokeError {
    /// No function of this name is deployed.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// The function's concurrency limit is reached.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The payload is not JSON.
    #[error("Could not parse request body into json: {0}")]
    NotJson(String),
    /// The simulator was dropped.
    #[error("the simulator has stopped")]
    Stopped,
}

/// What an environment answers to one event.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    pub(crate) function_error: Option<String>,
}

impl Answer {
    pub(crate) fn success(payload: Bytes) -> Self {
        Self { payload, function_error: None }
    }

    /// What the function, or its runtime, reported as an error.
    pub(crate) fn error(payload: Bytes) -> Self {
        Self { payload, function_error: Some("Unhandled".into()) }
    }

    /// The invocation, with its work after the response, took longer than it may.
    pub(crate) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let reason = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
        Self::platform("Sandbox.Timedout", request_id, &reason)
    }

    /// The process ended before it answered.
    pub(crate) fn exited(request_id: &str, status: ExitStatus) -> Self {
        Self::platform("Runtime.ExitError", request_id, &exit_reason(status))
    }

    /// The program could not be started.
    pub(crate) fn not_started(request_id: &str, reason: &str) -> Self {
        Self::platform("Runtime.InvalidEntrypoint", request_id, reason)
    }

    fn platform(kind: &str, request_id: &str, reason: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: {reason}");
        Self::error(json!({ "errorType": kind, "errorMessage": message }).to_string().into())
    }
}

/// How a process ended, in Lambda's words.
fn exit_reason(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".into(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(9)) => "Runtime exited with error: signal: killed".into(),
        (None, Some(15)) => "Runtime exited with error: signal: terminated".into(),
        (None, Some(6)) => "Runtime exited with error: signal: aborted".into(),
        (None, signal) => format!("Runtime exited with error: signal: {}", signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_platform_are_worded_as_lambda_words_them() {
        let timed_out = Answer::timed_out("id", Duration::from_secs(3));
        let expected = json!({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: id Error: Task timed out after 3.00 seconds"});
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&timed_out.payload).unwrap(), expected);
        assert_eq!(timed_out.function_error.as_deref(), Some("Unhandled"));
        assert_eq!(exit_reason(ExitStatus::from_raw(9)), "Runtime exited with error: signal: killed");
        assert_eq!(exit_reason(ExitStatus::from_raw(256)), "Runtime exited with error: exit status 1");
        assert_eq!(exit_reason(ExitStatus::from_raw(0)), "Runtime exited without providing a reason");
    }
}
