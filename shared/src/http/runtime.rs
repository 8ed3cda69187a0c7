//! The runtime loop round a handler of requests.

use super::sanitized;
use lambda_http::lambda_runtime::{LambdaInvocation, Runtime};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::util::MapRequest;
use lambda_http::{Adapter, Body, Context, Error, LambdaEvent, Request, Response, Service, service_fn};
use std::future::Future;

/// The runtime that `lambda_http::runtime_concurrent` makes, with `sanitized` in front of the conversion
/// from event to request. Layers added to it run round the sending of the response.
///
/// # Panics
///
/// Without the environment variables that Lambda sets (`AWS_LAMBDA_RUNTIME_API` and others).
pub fn runtime<F>(
    handler: impl Fn(Request) -> F + Clone + Send + 'static,
) -> Runtime<
    impl Service<LambdaInvocation, Response = (), Error = Error, Future: Send + 'static> + Clone + Send + 'static,
>
where
    F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
{
    Runtime::new(MapRequest::new(Adapter::from(service_fn(handler)), sanitized))
}

/// The request that [`runtime`] makes of an event's text and hands to the handler, for tests of handlers. What is
/// no JSON is an error: the runtime reports it to Lambda and goes on with the next event.
pub fn request_of(event: &str) -> serde_json::Result<Request> {
    let payload: LambdaRequest = serde_json::from_str(event)?;
    Ok(sanitized(LambdaEvent::new(payload, Context::default())).payload.into())
}
