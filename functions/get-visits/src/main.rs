//! `GET /visits/{page_id}`: a page's count, from memory or from its shard.

mod handler;

use handler::Handler;
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::cache::CountCache;
use visits_core::config::Config;
use visits_core::http;
use visits_core::process;
use visits_core::store::redis::RedisStore;

fn main() -> ExitCode {
    process::run(get_visits)
}

async fn get_visits(config: Config) -> Result<(), lambda_http::Error> {
    let store = Arc::new(RedisStore::new(&config)?);
    let cache = CountCache::new(store, config.ring(), config.clock(), &config);
    let handler = Arc::new(Handler::new(cache));
    let runtime = http::runtime(move |request| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(&request).await }
    });
    runtime.run_concurrent().await
}
