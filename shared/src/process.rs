//! What the `main` of each function does first: logging, settings, and the right kind of runtime.

use crate::config::Config;
use crate::telemetry;
use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Reads the settings and runs a function until it ends. A wrong setting or an error ends the process
/// with one message and exit code 1.
pub fn run<F, E>(function: impl FnOnce(Config) -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    telemetry::init();
    let outcome = Config::from_env().map_err(Into::into).and_then(|config| {
        let runtime = runtime(config.max_concurrency)?;
        runtime.block_on(function(config)).map_err(Into::into)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn Error + Send + Sync> = error;
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread where requests come one at a time, since it starts faster and needs less memory; several
/// where Lambda hands over many at once.
fn runtime(max_concurrency: usize) -> std::io::Result<Runtime> {
    let mut builder = if max_concurrency > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().build()
}
