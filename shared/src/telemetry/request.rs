//! Which invocation a task works for, so that its log lines can say so.
//!
//! A task-local variable and no span: a span that is opened for each invocation formats its fields whether a line is logged or
//! not.

use std::future::Future;
use std::sync::Arc;
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static REQUEST_ID: Arc<str>;
}

/// Runs `work` for the invocation with this id.
pub fn within<F: Future>(id: Arc<str>, work: F) -> TaskLocalFuture<Arc<str>, F> {
    REQUEST_ID.scope(id, work)
}

/// The same for what is no future.
pub fn within_sync<T>(id: &Arc<str>, work: impl FnOnce() -> T) -> T {
    REQUEST_ID.sync_scope(Arc::clone(id), work)
}

/// The id of the invocation that is worked for here, if there is one.
pub fn id() -> Option<Arc<str>> {
    REQUEST_ID.try_with(Arc::clone).ok()
}

/// The id as JSON text.
pub(super) fn json() -> Option<String> {
    serde_json::to_string(&*id()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn side_by_side_each_knows_its_own_invocation() {
        let work = |name: &'static str| {
            within(name.into(), async move {
                tokio::task::yield_now().await;
                id()
            })
        };
        let (one, other) = tokio::join!(work("a"), work("b"));
        assert_eq!((one.as_deref(), other.as_deref(), id()), (Some("a"), Some("b"), None));
        assert_eq!(within_sync(&"c\"".into(), json).as_deref(), Some(r#""c\"""#));
    }
}
