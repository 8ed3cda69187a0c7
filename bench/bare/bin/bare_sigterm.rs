//! The floor of a function that wants to hear of SIGTERM: the bare handler with the extension that Lambda asks for.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::spawn_graceful_shutdown_handler(|| async {}).await;
    lambda_http::run_concurrent(service_fn(|_: Request| async { Ok::<_, Error>(Response::new(Body::from("{}"))) }))
        .await
}
