//! `GET /visits/{page_id}`, `GET /visits` and `GET /badge/{page_id}`: counts, from memory or from their shards.

mod after_response;
mod badge;
mod handler;
mod page_list;

use after_response::Lines;
use handler::Handler;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::cache::CountCache;
use visits_core::config::Config;
use visits_core::http::Event;
use visits_core::lambda;
use visits_core::store::redis::RedisStore;
use visits_core::telemetry::metrics::Metrics;

fn main() -> ExitCode {
    lambda::run(get_visits)
}

async fn get_visits(config: Config) -> Result<(), lambda_runtime::Error> {
    let store = Arc::new(RedisStore::new(&config)?.looking());
    let clock = config.clock();
    let cache = Arc::new(CountCache::new(store, config.ring(), clock.clone(), &config));
    let metrics = Metrics::new(config.metrics.clone(), clock.clone());
    let after = Lines::new(Arc::clone(&cache), metrics, &config, clock);
    let handler = Arc::new(Handler::new(cache, &config)?);
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(event.payload).await }
    }));
    runtime.layer(lambda::invocations(after)).run_concurrent().await
}
