//! On a schedule: has idle environments of `record-visit` flush what they hold, and tidies the shards.

mod handler;
mod invoke;
mod report;

use handler::Handler;
use invoke::RecordFunction;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::config::Config;
use visits_core::credentials::Aws;
use visits_core::lambda;
use visits_core::store::redis::RedisStore;
use visits_core::telemetry::metrics::Metrics;

fn main() -> ExitCode {
    lambda::run(flush_visits)
}

async fn flush_visits(config: Config) -> Result<(), lambda_runtime::Error> {
    let environments = RecordFunction::new(&config.record_function).await;
    let metrics = Metrics::new(config.metrics.clone(), config.clock());
    let handler = Handler::new(
        Arc::new(RedisStore::with_aws(&config, Aws::with_sdk(config.clock()))?),
        environments,
        &config,
        config.clock(),
    );
    let handler = Arc::new(handler.with_metrics(metrics));
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<serde_json::Value>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(&event.payload, event.context.deadline).await }
    }));
    runtime.layer(lambda::invocations(())).run_concurrent().await
}
