//! The dashboard and what belongs to it: its page, `counter.js`, the API's description, and the owner's routes.

mod assets;
mod handler;

use handler::Handler;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use std::process::ExitCode;
use std::sync::Arc;
use visits_core::config::Config;
use visits_core::http::{Event, Owner};
use visits_core::lambda;
use visits_core::statistics::Figures;
use visits_core::store::redis::RedisStore;

fn main() -> ExitCode {
    lambda::run(dashboard)
}

async fn dashboard(config: Config) -> Result<(), lambda_runtime::Error> {
    let store = Arc::new(RedisStore::new(&config)?);
    let figures = Figures::new(store, config.ring(), config.clock(), &config);
    let handler = Arc::new(Handler::new(figures, Owner::new(&config)?));
    let runtime = Runtime::new(service_fn(move |event: LambdaEvent<Event>| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(event.payload).await }
    }));
    runtime.layer(lambda::invocations(())).run_concurrent().await
}
