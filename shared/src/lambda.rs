//! The frame round the handler of each function: log lines know their invocation, what is to be done after the response is
//! done then, and nothing that fails or panics there ends the run loop.

use crate::telemetry::in_invocation;
use futures_util::FutureExt;
use lambda_runtime::tower::Layer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Error, LambdaInvocation, Service, service_fn};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;

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
