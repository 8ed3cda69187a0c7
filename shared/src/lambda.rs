//! The frame of each function. [`run`] is all of its `main`: logging, settings, and the right kind of runtime. [`invocations`] goes
//! round its handler: log lines know their invocation, what is to be done after the response is done then, and nothing that
//! fails or panics there ends the run loop.

use crate::config::Config;
use crate::telemetry::{self, in_invocation};
use futures_util::FutureExt;
use lambda_runtime::tower::Layer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Error, LambdaInvocation, Service, service_fn};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Reads the settings and runs a function until it ends. A wrong setting or an error ends the process
/// with one message and exit code 1.
pub fn run<F: Future<Output = Result<(), Error>>>(function: impl FnOnce(Config) -> F) -> ExitCode {
    telemetry::init();
    let outcome = Config::from_env().map_err(Error::from).and_then(|config| {
        let runtime = runtime(config.max_concurrency)?;
        runtime.block_on(function(config))
    });
    outcome.map_or_else(
        |error| {
            tracing::error!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Returns a runtime of one thread where requests come one at a time, since it starts faster and needs less memory; of
/// several where Lambda hands over many at once.
fn runtime(max_concurrency: usize) -> std::io::Result<Runtime> {
    let mut builder = if max_concurrency > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().build()
}

/// Work to do after each response was sent and before the next event is asked for, so that no client waits for it.
pub trait AfterResponse: Clone + Send + 'static {
    /// Does it, in an invocation that must end at `deadline`, in milliseconds since the Unix epoch.
    fn run(self, deadline: u64) -> impl Future<Output = ()> + Send;
}

/// Nothing.
impl AfterResponse for () {
    async fn run(self, _: u64) {}
}

/// Returns the layer that goes round the runtime's service, which answers an event; `after` is done after each response.
pub fn invocations<I, A: AfterResponse>(
    after: A,
) -> impl Layer<I, Service: Service<LambdaInvocation, Response = (), Error = Error, Future: Send> + Clone + Send>
where
    I: Service<LambdaInvocation, Response = (), Error = Error, Future: Send> + Clone + Send + 'static,
{
    layer_fn(move |inner: I| {
        let after = after.clone();
        service_fn(move |invocation: LambdaInvocation| {
            let deadline = invocation.context.deadline;
            let id = invocation.context.request_id.as_str().into();
            let (mut inner, after) = (inner.clone(), after.clone());
            in_invocation(id, async move {
                // The inner services may panic before there is a future, too.
                let answer = async {
                    poll_fn(|cx| inner.poll_ready(cx)).await?;
                    inner.call(invocation).await
                };
                match AssertUnwindSafe(answer).catch_unwind().await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the answer could not be handed over"),
                    Err(_) => tracing::error!("a panic in the layers round the handler"),
                }
                if AssertUnwindSafe(after.run(deadline)).catch_unwind().await.is_err() {
                    tracing::error!("a panic after the response; what was pending is kept");
                }
                Ok(())
            })
        })
    })
}
