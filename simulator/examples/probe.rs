//! The function that the simulator's own tests deploy. It does what its event says, and tells what it sees.
//!
//! Event: `{"wait_for": file}` answers once the file exists; `{"then_wait_for": file}` asks for its next event only
//! once the file exists; `{"variable": name}` answers an environment variable; `{"fail": message}`, `{"exit": code}`.

use lambda_runtime::{Error, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::{Value, json};
use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::{Service, ServiceExt};

/// Between two looks at a file.
const PAUSE: Duration = Duration::from_millis(2);

static INVOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The file that the layer waits for after the response.
static THEN_WAIT_FOR: Mutex<Option<String>> = Mutex::new(None);

#[tokio::main]
async fn main() -> Result<(), Error> {
    println!("the probe starts");
    if let Ok(path) = env::var("PROBE_TICKS") {
        let file = File::create(path)?;
        std::thread::spawn(move || tick(&file));
    }
    if let Ok(kind) = env::var("PROBE_EXTENSION") {
        register(kind == "stubborn").await;
    }
    if env::var_os("PROBE_NEVER_READY").is_some() {
        std::future::pending::<()>().await;
    }
    if let Ok(code) = env::var("PROBE_EXIT_AT_START") {
        std::process::exit(code.parse()?);
    }
    let layer = tower::layer::layer_fn(after_response);
    Runtime::new(service_fn(handle)).layer(layer).run_concurrent().await
}

/// A thread that does not stop by itself: it counts in a file, once a millisecond.
fn tick(file: &File) {
    for count in 0_u64.. {
        file.write_all_at(format!("{count:020}").as_bytes(), 0).expect("the file of ticks can be written");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The extension that most functions have: it only makes Lambda send SIGTERM.
async fn register(is_stubborn: bool) {
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        println!("the probe was asked to end");
        if is_stubborn {
            std::future::pending::<()>().await;
        }
    })
    .await;
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let count = INVOCATIONS.fetch_add(1, Ordering::SeqCst) + 1;
    let text = |name: &str| event.payload[name].as_str().map(str::to_owned);
    if let Some(path) = text("wait_for") {
        wait_for(&path).await;
    }
    if let Some(message) = text("fail") {
        return Err(message.into());
    }
    if let Some(code) = event.payload["exit"].as_i64() {
        std::process::exit(i32::try_from(code)?);
    }
    *THEN_WAIT_FOR.lock().unwrap() = text("then_wait_for");
    let variable = text("variable").and_then(|name| env::var(name).ok());
    Ok(json!({
        "count": count,
        "process": std::process::id(),
        "request_id": event.context.request_id,
        "deadline": event.context.deadline,
        "arn": event.context.invoked_function_arn,
        "variable": variable,
        "variables": env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
    }))
}

/// Runs the function's service, which sends the response, and then what is to be done after it.
fn after_response<S>(
    inner: S,
) -> impl Service<LambdaInvocation, Response = (), Error = Error, Future: Send> + Clone + Send + 'static
where
    S: Service<LambdaInvocation, Response = (), Error = Error, Future: Send> + Clone + Send + 'static,
{
    tower::service_fn(move |invocation| {
        let inner = inner.clone();
        async move {
            inner.oneshot(invocation).await?;
            let path = THEN_WAIT_FOR.lock().unwrap().take();
            if let Some(path) = path {
                wait_for(&path).await;
            }
            Ok(())
        }
    })
}

async fn wait_for(path: &str) {
    while !Path::new(path).exists() {
        tokio::time::sleep(PAUSE).await;
    }
}
