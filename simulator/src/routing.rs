//! Which environment serves an event: an idle one, else a new one.

use crate::environment::Environment;
use crate::function::{Fleet, Function, Placement};
use crate::slots::Event;
use crate::sync::lock;
use crate::{Choice, EnvironmentId, InvokeError};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Function {
    /// Gives an event to an environment; back to the caller with the reason if it may not run now. Needs a tokio
    /// runtime.
    pub(crate) fn route(self: &Arc<Self>, event: Event) -> Result<Placement, (InvokeError, Event)> {
        let mut fleet = lock(&self.fleet);
        if fleet.closed {
            return Err((InvokeError::Stopped, event));
        }
        if self.is_at_limit(&fleet) {
            fleet.counts.throttled += 1;
            return Err((InvokeError::Throttled, event));
        }
        let choice = fleet.choice;
        let chosen = choose(&mut fleet, choice);
        let environment = chosen.unwrap_or_else(|| self.add_environment(&mut fleet));
        let cold_start = chosen.is_none();
        fleet.counts.invocations += 1;
        fleet.counts.cold_starts += u64::from(cold_start);
        if let Some(environment) = fleet.live.get_mut(&environment) {
            environment.idle_timer = None;
            environment.slots.push(event);
        }
        self.settle(&mut fleet, environment);
        Ok(Placement { environment, cold_start })
    }

    /// Starts an environment that no event waits for, as provisioned concurrency does.
    pub(crate) fn prewarm(self: &Arc<Self>) -> Result<EnvironmentId, InvokeError> {
        let mut fleet = lock(&self.fleet);
        if fleet.closed {
            return Err(InvokeError::Stopped);
        }
        Ok(self.add_environment(&mut fleet))
    }

    fn is_at_limit(&self, fleet: &Fleet) -> bool {
        let in_work = || fleet.live.values().map(|environment| environment.slots.load()).sum::<usize>();
        self.config.concurrency_limit.is_some_and(|limit| in_work() >= limit)
    }

    fn add_environment(self: &Arc<Self>, fleet: &mut Fleet) -> EnvironmentId {
        let id = EnvironmentId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let environment = Environment::new(id, self.config.mode, &self.folder);
        fleet.live.insert(id, environment.expect("the simulator's folder can be written"));
        tokio::spawn(Arc::clone(self).run_environment(id));
        id
    }
}

/// The environment that takes the next event, if one can.
fn choose(fleet: &mut Fleet, choice: Choice) -> Option<EnvironmentId> {
    let candidates = || fleet.live.values().filter(|environment| environment.takes_events());
    let chosen = match choice {
        Choice::MostRecentlyUsed => candidates().max_by_key(|environment| environment.idle_order),
        Choice::LeastRecentlyUsed => candidates().min_by_key(|environment| environment.idle_order),
        Choice::Random => {
            let count = candidates().count();
            (count > 0)
                .then(|| fleet.random.usize(..count))
                .and_then(|index| fleet.live.values().filter(|environment| environment.takes_events()).nth(index))
        }
    };
    chosen.map(|environment| environment.id)
}
