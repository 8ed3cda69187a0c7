//! `POST /visit/{page_id}`, `POST /visits` and `GET /pixel/{page_id}`: takes visits into memory, answers, and pushes batches to
//! Redis afterwards.

mod handler;
mod lifecycle;
mod rules;

use handler::Handler;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use lifecycle::Flush;
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::http::Event;
use visits_core::lambda;
use visits_core::store::redis::RedisStore;
use visits_core::telemetry::metrics::Metrics;

fn main() -> ExitCode {
    lambda::run(record_visits)
}

async fn record_visits(config: Config) -> Result<(), lambda_runtime::Error> {
    let (store, clock) = (Arc::new(RedisStore::new(&config)?), config.clock());
    let metrics = Metrics::new(config.metrics.clone(), clock.clone());
    let flusher = Flusher::new(store, config.ring(), clock.clone(), Limits::from(&config)).with_metrics(metrics);
    let flusher = Arc::new(flusher);

    lifecycle::await_end(&flusher, config.unregistered_interval).await;
    if config.timer_runs() {
        let flusher = Arc::clone(&flusher);
        tokio::spawn(async move { flusher.run_timer(lifecycle::LONGEST_FLUSH).await });
    }

    let handler = Arc::new(Handler::new(Arc::clone(&flusher), &config, clock.clone()));
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(event.payload, event.context.deadline).await }
    }));
    let after = Flush { flusher: Arc::clone(&flusher), clock };
    let outcome = runtime.layer(lambda::invocations(after)).run_concurrent().await;

    // The run loop ends only when the Runtime API is gone: what is in memory has no other way out.
    flusher.shutdown().await;
    outcome
}
