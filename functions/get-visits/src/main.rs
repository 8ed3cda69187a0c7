//! `GET /visits/{page_id}`, `GET /visits` and `GET /badge/{page_id}`: counts, from memory or from their shards.

mod badge;
mod handler;
mod page_list;

use handler::Handler;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::cache::CountCache;
use visits_core::config::Config;
use visits_core::http::Event;
use visits_core::process;
use visits_core::store::redis::RedisStore;

fn main() -> ExitCode {
    process::run(get_visits)
}

async fn get_visits(config: Config) -> Result<(), lambda_runtime::Error> {
    let store = Arc::new(RedisStore::new(&config)?);
    let cache = CountCache::new(store, config.ring(), config.clock(), &config);
    let handler = Arc::new(Handler::new(cache, &config)?);
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(event.payload).await }
    }));
    runtime.run_concurrent().await
}
