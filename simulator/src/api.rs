//! The HTTP endpoints: the Runtime API (2018-06-01) and the Extensions API (2020-01-01) of each environment, and the Invoke
//! operation of the Lambda API (2015-03-31), for the AWS SDK.

use crate::function::{Function, Invocation, InvokeError};
use crate::simulator::Functions;
use crate::slots::{Delivery, Refused};
use crate::{EnvironmentId, ExtensionsApi};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::future::pending;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Largest body: a payload of 6 MiB, as Lambda's limit is, and some room for what wraps it.
const LARGEST_BODY: usize = (6 << 20) + (64 << 10);

/// Pause after a failed accept, most likely for want of file descriptors: connections end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// An answer, or an error that closes the connection instead.
type HttpAnswer = io::Result<Response<Full<Bytes>>>;

/// Answers all requests that come to `listener`. Its connections end with it.
pub(crate) async fn serve<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = HttpAnswer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(serve_connection(stream, handle.clone())); }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection<H, F>(stream: TcpStream, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Send,
    F: Future<Output = HttpAnswer> + Send,
{
    // Without it, it is slower; a broken connection is the client's affair.
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(handle)).await;
}

/// Reads the whole body of a request; an error if it is too large or breaks off.
async fn body(request: Request<Incoming>) -> io::Result<Bytes> {
    let collected = Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(io::Error::other)
}

fn header(request: &Request<Incoming>, name: &str) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> HttpAnswer {
    let mut answer = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::new(body.into())).map_err(io::Error::other)
}

fn error(status: u16, kind: &str, message: &str) -> HttpAnswer {
    answer(status, &[], json!({ "errorType": kind, "errorMessage": message }).to_string())
}

fn refused() -> HttpAnswer {
    error(403, "InvalidStateTransition", "State transition is not allowed")
}

/// Answers one call of an environment's runtime or extensions.
pub(crate) async fn runtime(function: Arc<Function>, id: EnvironmentId, request: Request<Incoming>) -> HttpAnswer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => {
            let Ok(delivery) = function.poll(id) else { return refused() };
            let Delivery { request_id, payload, deadline } = delivery.await.map_err(io::Error::other)?;
            let headers = [
                ("lambda-runtime-aws-request-id", request_id.as_str()),
                ("lambda-runtime-deadline-ms", &deadline.to_string()),
                ("lambda-runtime-invoked-function-arn", &function.arn()),
                ("lambda-runtime-trace-id", TRACE),
            ];
            answer(200, &headers, payload)
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", event, kind @ ("response" | "error")]) => {
            let payload = body(request).await?;
            let function_error = (*kind == "error").then(|| "Unhandled".to_owned());
            let outcome = Answer { payload, function_error };
            match function.with(id, |environment| environment.slots.answer(event, outcome)) {
                Some(Ok(())) => answer(202, &[], r#"{"status":"OK"}"#),
                Some(Err(Refused::UnknownRequest)) => error(400, "InvalidRequestID", "Invalid request ID"),
                // As Lambda refuses an answer that comes after the invocation's end.
                _ => error(410, "InvalidStateTransition", "the invocation has ended"),
            }
        }
        (_, ["2020-01-01", "extension", call @ ..]) => match (function.config.extensions, call) {
            (ExtensionsApi::Refuses(status), _) => error(status, "Extension.Refused", &path),
            (ExtensionsApi::HangsUp, _) => Err(io::Error::other("hung up")),
            (ExtensionsApi::IsSilent, _) => pending().await,
            (ExtensionsApi::Works, ["register"]) => {
                let name = header(&request, "lambda-extension-name");
                let Some(extension) = function.with(id, |environment| environment.register(&name)).flatten() else {
                    return refused();
                };
                let about = json!({ "functionName": function.config.name, "functionVersion": "$LATEST", "handler": "bootstrap" });
                answer(200, &[("lambda-extension-identifier", &extension)], about.to_string())
            }
            (ExtensionsApi::Works, ["event", "next"]) => {
                match function.poll_extension(id, &header(&request, "lambda-extension-identifier")) {
                    Some(()) => pending().await,
                    None => refused(),
                }
            }
            (ExtensionsApi::Works, _) => error(404, "ResourceNotFound", &path),
        },
        _ => error(404, "ResourceNotFound", &path),
    }
}

/// The tracing header of every invocation: not sampled.
const TRACE: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0";

/// Answers one call of the Lambda API.
pub(crate) async fn invoke(functions: Arc<Functions>, request: Request<Incoming>) -> HttpAnswer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["2015-03-31", "functions", name, "invocations"] = segments.as_slice() else {
        return refusal(404, "UnknownOperationException", &path);
    };
    let kind = header(&request, "x-amz-invocation-type");
    if !matches!(kind.as_str(), "" | "RequestResponse") {
        let message = format!("invocation type {kind} is not RequestResponse");
        return refusal(400, "InvalidParameterValueException", &message);
    }
    let (name, payload) = (percent_decode_str(name).decode_utf8_lossy().into_owned(), body(request).await?);
    let outcome = match functions.find(&name) {
        // In a task of its own: as on Lambda, a client that goes away does not end what it began.
        Ok(function) => tokio::spawn(function.invoke(payload)).await.unwrap_or(Err(InvokeError::Stopped)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Invocation { request_id, payload, function_error, .. }) => {
            let mut headers = vec![("x-amz-executed-version", "$LATEST"), ("x-amzn-requestid", &request_id)];
            headers.extend(function_error.iter().map(|error| ("x-amz-function-error", error.as_str())));
            answer(200, &headers, payload)
        }
        Err(reason @ InvokeError::NotFound(_)) => refusal(404, "ResourceNotFoundException", &reason.to_string()),
        Err(reason @ InvokeError::Throttled) => refusal(429, "TooManyRequestsException", &reason.to_string()),
        Err(reason @ InvokeError::Stopped) => refusal(500, "ServiceException", &reason.to_string()),
    }
}

fn refusal(status: u16, kind: &str, message: &str) -> HttpAnswer {
    answer(status, &[("x-amzn-errortype", kind)], json!({ "Type": "User", "message": message }).to_string())
}

/// Answer of an environment to one event.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    pub(crate) function_error: Option<String>,
}

impl Answer {
    /// The invocation, with its work after the response, took longer than it may.
    pub(crate) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let reason = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
        Self::platform("Sandbox.Timedout", request_id, &reason)
    }

    /// The process ended before it answered.
    pub(crate) fn exited(request_id: &str, status: ExitStatus) -> Self {
        Self::platform("Runtime.ExitError", request_id, &format!("Runtime exited with error: {status}"))
    }

    /// The program could not be started.
    pub(crate) fn not_started(request_id: &str, reason: &str) -> Self {
        Self::platform("Runtime.InvalidEntrypoint", request_id, reason)
    }

    fn platform(kind: &str, request_id: &str, reason: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: {reason}");
        let payload = json!({ "errorType": kind, "errorMessage": message }).to_string().into();
        Self { payload, function_error: Some("Unhandled".into()) }
    }
}
