//! Flushes after the response was sent and before the next event is asked for, so that no client waits
//! for Redis. Nothing that happens round the handler ends the run loop, which would cost the buffer.

use crate::budget;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lambda_runtime::{Error, LambdaInvocation, Service};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use visits_core::clock::Clock;
use visits_core::flusher::Flusher;
use visits_core::store::parking::Parking;

/// The runtime's service, which answers an event, with a flush behind it.
pub(crate) struct AfterResponse<I, S> {
    inner: I,
    flusher: Arc<Flusher<S>>,
    clock: Clock,
}

impl<I, S> AfterResponse<I, S> {
    pub(crate) fn new(inner: I, flusher: Arc<Flusher<S>>, clock: Clock) -> Self {
        Self { inner, flusher, clock }
    }
}

impl<I: Clone, S> Clone for AfterResponse<I, S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.flusher), self.clock.clone())
    }
}

impl<I, S> Service<LambdaInvocation> for AfterResponse<I, S>
where
    I: Service<LambdaInvocation, Response = (), Error = Error>,
    I::Future: Send + 'static,
    S: Parking,
{
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result<(), Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let deadline = invocation.context.deadline;
        // The inner services may panic before there is a future, too.
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.call(invocation)));
        let (flusher, clock) = (Arc::clone(&self.flusher), self.clock.clone());
        Box::pin(async move {
            let answered = match answer {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match answered {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the answer could not be handed over"),
                Err(_) => tracing::error!("a panic in the layers round the handler"),
            }
            let flush = flusher.flush_if_due(budget::until(deadline, clock.now()));
            if AssertUnwindSafe(flush).catch_unwind().await.is_err() {
                tracing::error!("a panic in the flush; what was pending is kept");
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
