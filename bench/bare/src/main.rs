//! The floor: the least that a function on `lambda_http` can do. It reads the event, as each of ours must, and
//! answers with a fixed body. No logging, no settings, no state.

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::{Body, Error, Request, Response, service_fn};

const BODY: &str = r#"{"status":"success","message":"Visit recorded for page home"}"#;

fn main() -> Result<(), Error> {
    let many = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").is_ok_and(|most| most != "1");
    let mut runtime =
        if many { tokio::runtime::Builder::new_multi_thread() } else { tokio::runtime::Builder::new_current_thread() };
    runtime.enable_all().build()?.block_on(lambda_http::run_concurrent(service_fn(answer)))
}

async fn answer(_: Request) -> Result<Response<Body>, Error> {
    let answer = Response::builder().header(CONTENT_TYPE, "application/json").header(CACHE_CONTROL, "no-store");
    Ok(answer.body(Body::from(BODY))?)
}
