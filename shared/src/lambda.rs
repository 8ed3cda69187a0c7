//! What goes on round a handler in each function: log lines know their invocation, what is to be done after the response is
//! done then, and nothing that fails or panics there ends the run loop.

use crate::telemetry::{in_invocation, in_invocation_sync};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lambda_runtime::tower::Layer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Error, LambdaInvocation, Service};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What is done after each response was sent and before the next event is asked for, so that no client waits for it.
pub trait AfterResponse: Clone + Send + 'static {
    /// Does it, in an invocation that must end at `deadline`, in milliseconds since the Unix epoch.
    fn run(self, deadline: u64) -> impl Future<Output = ()> + Send;
}

/// Nothing.
impl AfterResponse for () {
    async fn run(self, _: u64) {}
}

/// Puts [`Invocations`] round a function's service: the outermost layer.
pub fn invocations<I, A: AfterResponse>(after: A) -> impl Layer<I, Service = Invocations<I, A>> {
    layer_fn(move |inner| Invocations::new(inner, after.clone()))
}

/// The runtime's service, which answers an event, with what belongs round it.
#[derive(Clone, Debug)]
pub struct Invocations<I, A> {
    inner: I,
    after: A,
}

impl<I, A> Invocations<I, A> {
    /// `after` is done after each response.
    pub fn new(inner: I, after: A) -> Self {
        Self { inner, after }
    }
}

impl<I, A> Service<LambdaInvocation> for Invocations<I, A>
where
    I: Service<LambdaInvocation, Response = (), Error = Error>,
    I::Future: Send + 'static,
    A: AfterResponse,
{
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result<(), Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let (deadline, id) = (invocation.context.deadline, Arc::<str>::from(invocation.context.request_id.as_str()));
        // The inner services may panic before there is a future, too.
        let call = AssertUnwindSafe(|| self.inner.call(invocation));
        let answer = in_invocation_sync(&id, || std::panic::catch_unwind(call));
        let after = self.after.clone();
        Box::pin(in_invocation(id, async move {
            let answered = match answer {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answered {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the answer could not be handed over"),
                Err(_) => tracing::error!("a panic in the layers round the handler"),
            }
            if AssertUnwindSafe(after.run(deadline)).catch_unwind().await.is_err() {
                tracing::error!("a panic after the response; what was pending is kept");
            }
            Ok(())
        }))
    }
}
