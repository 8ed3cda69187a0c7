//! On a schedule: has idle environments of `record-visit` flush what they hold, and tidies the shards.

mod handler;
mod invoke;

use handler::Handler;
use invoke::RecordFunction;
use lambda_runtime::{LambdaEvent, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::config::Config;
use visits_core::process;
use visits_core::store::redis::RedisStore;

fn main() -> ExitCode {
    process::run(flush_visits)
}

async fn flush_visits(config: Config) -> Result<(), lambda_runtime::Error> {
    let environments = RecordFunction::new(&config.record_function).await;
    let handler = Arc::new(Handler::new(RedisStore::new(&config)?, environments, &config, config.clock()));
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<serde_json::Value>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(&event.payload, event.context.deadline).await }
    }))
    .await
}
