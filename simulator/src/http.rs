//! The HTTP that all endpoints share.

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Largest body: a payload of 6 MiB, as Lambda's limit is, and some room for what wraps it.
const LARGEST_BODY: usize = (6 << 20) + (64 << 10);

/// Pause after a failed accept, most likely for want of file descriptors: connections end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

pub(crate) type Answer = Response<Full<Bytes>>;

/// Answers all requests that come to `listener`. Its connections end with it.
pub(crate) async fn serve<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
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
    F: Future<Output = Answer> + Send,
{
    // Both are of no account: without it, it is slower; and a broken connection is the client's affair.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answer = handle(request);
        async {
            let answer = answer.await;
            // An error of the service closes the connection.
            if answer.extensions().get::<HangUp>().is_some() { Err(io::Error::other("hung up")) } else { Ok(answer) }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Marks an answer that is not sent: the connection is closed instead.
#[derive(Clone)]
struct HangUp;

/// Returns an answer that closes the connection.
pub(crate) fn hang_up() -> Answer {
    let mut answer = Answer::default();
    answer.extensions_mut().insert(HangUp);
    answer
}

/// The whole body of a request; an error if it is too large or breaks off.
pub(crate) async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let collected = Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let message = format!("the body cannot be read: {error}");
        json(StatusCode::PAYLOAD_TOO_LARGE, &serde_json::json!({ "errorMessage": message }))
    })
}

/// A header's value, empty if there is none or it is no text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Answer {
    answer(status, &[("content-type", "application/json")], body.to_string())
}

/// An answer with these headers. What is no valid header value is left out.
pub(crate) fn answer(status: StatusCode, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(*name, value);
        }
    }
    answer
}
