//! The extensions of one environment, internal ones included. No I/O here.

use serde_json::Value;
use tokio::sync::oneshot;

/// An extension that has registered.
#[derive(Debug)]
struct Extension {
    id: String,
    name: String,
    /// Whether it wants to know of each invocation.
    invoke: bool,
    /// Whether it wants to know of the environment's end.
    shutdown: bool,
    /// Its `/event/next`, while it waits.
    waiting: Option<oneshot::Sender<Value>>,
}

impl Extension {
    fn is_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed())
    }

    fn tell(&mut self, event: &Value) {
        if let Some(waiting) = self.waiting.take() {
            // Nobody is there if its connection has gone: the event is lost with it.
            let _ = waiting.send(event.clone());
        }
    }
}

/// All extensions of an environment.
#[derive(Debug, Default)]
pub(crate) struct Extensions(Vec<Extension>);

impl Extensions {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Registers one; false if the name is taken.
    pub(crate) fn register(&mut self, id: &str, name: &str, events: &[&str]) -> bool {
        let is_new = self.0.iter().all(|extension| extension.name != name);
        if is_new {
            let (invoke, shutdown) = (events.contains(&"INVOKE"), events.contains(&"SHUTDOWN"));
            let (id, name) = (id.to_owned(), name.to_owned());
            self.0.push(Extension { id, name, invoke, shutdown, waiting: None });
        }
        is_new
    }

    /// An `/event/next` of the extension `id`; None if there is no such extension.
    pub(crate) fn poll(&mut self, id: &str) -> Option<oneshot::Receiver<Value>> {
        let extension = self.0.iter_mut().find(|extension| extension.id == id)?;
        let (waiting, event) = oneshot::channel();
        extension.waiting = Some(waiting);
        Some(event)
    }

    /// Whether all wait for an event: the end of the init phase needs it.
    pub(crate) fn have_started(&self) -> bool {
        self.0.iter().all(Extension::is_waiting)
    }

    /// Whether all that follow invocations are done with the last one.
    pub(crate) fn are_done(&self) -> bool {
        self.0.iter().filter(|extension| extension.invoke).all(Extension::is_waiting)
    }

    /// Tells those that follow invocations of one.
    pub(crate) fn tell_invoke(&mut self, event: &Value) {
        self.0.iter_mut().filter(|extension| extension.invoke).for_each(|extension| extension.tell(event));
    }

    /// Tells those that asked for it that the environment ends.
    pub(crate) fn tell_shutdown(&mut self, event: &Value) {
        self.0.iter_mut().filter(|extension| extension.shutdown).for_each(|extension| extension.tell(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_extension_without_events_holds_up_the_start_only() {
        let mut extensions = Extensions::default();
        assert!(extensions.register("1", "quiet", &[]));
        assert!(!extensions.register("2", "quiet", &[]));
        assert!(!extensions.have_started());
        assert!(extensions.are_done());
        let _event = extensions.poll("1").unwrap();
        assert!(extensions.have_started());
        assert!(extensions.poll("2").is_none());
    }

    #[test]
    fn an_extension_that_follows_invocations_is_done_when_it_asks_again() {
        let mut extensions = Extensions::default();
        extensions.register("1", "follower", &["INVOKE"]);
        let mut event = extensions.poll("1").unwrap();
        extensions.tell_shutdown(&json!({"eventType": "SHUTDOWN"}));
        assert!(event.try_recv().is_err());
        extensions.tell_invoke(&json!({"eventType": "INVOKE"}));
        assert_eq!(event.try_recv().unwrap()["eventType"], "INVOKE");
        assert!(!extensions.are_done());
        let _event = extensions.poll("1").unwrap();
        assert!(extensions.are_done());
    }
}
