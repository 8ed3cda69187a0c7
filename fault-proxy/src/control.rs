//! What a proxy and its connections share: the faults to come and the counters.

use crate::end::{self, End, Lift};
use crate::plan::Plan;
use crate::{Counters, Fault};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time;

/// Shared between a proxy's handle and its thread.
#[derive(Debug)]
pub(crate) struct Control {
    /// All standing faults ever set, the last of which stands. A log, so that no connection misses one that
    /// stood only for a moment.
    standing: watch::Sender<Vec<Fault>>,
    script: Mutex<Script>,
    /// Where connections lead that are accepted from now on.
    upstream: Mutex<SocketAddr>,
    pub(crate) counters: Counters,
}

/// Which commands are struck.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Only commands of these names; all if there are none.
    pub(crate) names: Vec<String>,
    /// The next commands, so many, get this.
    pub(crate) next: (u64, Fault),
    /// The others get what is drawn, unless a fault stands.
    pub(crate) plan: Option<Plan>,
}

/// What strikes one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    /// How long a silence lasts at most.
    pub(crate) stall: Option<Duration>,
}

impl Control {
    pub(crate) fn new(upstream: SocketAddr) -> Self {
        let standing = watch::Sender::new(vec![Fault::None]);
        let (script, upstream) = (Mutex::default(), Mutex::new(upstream));
        Self { standing, script, upstream, counters: Counters::default() }
    }

    pub(crate) fn upstream(&self) -> SocketAddr {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn redirect(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    /// To be called on the thread of the connections only: none of them sees it in the middle of a decision.
    pub(crate) fn set(&self, fault: Fault) {
        self.standing.send_modify(|log| log.push(fault));
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What strikes the command that was just read. Asked once for each, in the order of their coming.
    pub(crate) fn decide(&self, name: &[u8]) -> Strike {
        let standing = self.standing.borrow().last().copied().unwrap_or_default();
        let strike = self.script().decide(name, standing);
        self.counters.strike(strike.fault);
        strike
    }

    /// The standing faults as a connection sees them that was accepted now.
    pub(crate) fn watch(&self) -> Watch {
        let log = self.standing.subscribe();
        let (count, last) = (log.borrow().len(), log.borrow().last().copied());
        // A silence that stands strikes new connections too.
        let mute = matches!(last, Some(Fault::Mute | Fault::MuteLate));
        Watch { log, seen: count - usize::from(mute) }
    }
}

impl Script {
    fn decide(&mut self, name: &[u8], standing: Fault) -> Strike {
        let hit = self.names.is_empty() || self.names.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name));
        let (left, next) = &mut self.next;
        match &mut self.plan {
            _ if !hit => Strike { fault: Fault::None, stall: None },
            _ if *left > 0 => {
                *left -= 1;
                Strike { fault: *next, stall: None }
            }
            _ if standing.strikes_commands() => Strike { fault: standing, stall: None },
            Some(plan) => Strike { fault: plan.draw(), stall: Some(plan.stall()) },
            None => Strike { fault: Fault::None, stall: None },
        }
    }
}

/// One connection's view of the standing faults.
#[derive(Debug)]
pub(crate) struct Watch {
    log: watch::Receiver<Vec<Fault>>,
    seen: usize,
}

impl Watch {
    /// What the standing faults that it has not seen do to the connection; `None` if they leave it open.
    pub(crate) fn struck(&mut self, counters: &Counters) -> Option<End> {
        let log = self.log.borrow_and_update();
        while let Some(fault) = log.get(self.seen) {
            self.seen += 1;
            let lift = Lift { set: self.seen, until: None };
            let end = match fault {
                Fault::Refuse => End::Reset,
                Fault::HalfOpen => End::Silent,
                Fault::Mute => End::Muted { late: false, lift },
                Fault::MuteLate => End::Muted { late: true, lift },
                _ => continue,
            };
            counters.strike(*fault);
            return Some(end);
        }
        None
    }

    /// Waits for one that it has not seen.
    pub(crate) async fn changed(&mut self) {
        // It fails only if the proxy is gone, and then this task is stopped.
        let _ = self.log.changed().await;
    }

    /// Waits for the end of a silence.
    pub(crate) async fn lifted(&mut self, lift: Lift) {
        let next_set = self.log.wait_for(|log| log.len() > lift.set);
        match lift.until {
            Some(until) => drop(time::timeout_at(until, next_set).await),
            None => drop(next_set.await),
        }
    }

    /// The lift of a silence that begins now.
    pub(crate) fn lift(&self, stall: Option<Duration>) -> Lift {
        Lift { set: self.seen, until: stall.map(end::after) }
    }
}
