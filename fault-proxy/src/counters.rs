//! What the proxy has done so far.

use crate::Fault;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of a proxy.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    forwarded: AtomicU64,
    delivered_late: AtomicU64,
    faults: [AtomicU64; Fault::KINDS],
}

impl Counters {
    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Commands passed on in time, those with a delay and those whose answer is withheld included.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::SeqCst)
    }

    /// Connections whose late delivery ([`Fault::MuteLate`]) is over: the server has done all of it, or is gone.
    pub fn delivered_late(&self) -> u64 {
        self.delivered_late.load(Ordering::SeqCst)
    }

    /// Faults that struck, of all kinds: one for each command or connection, counted when it was chosen. A
    /// `CutAfterApply` whose answer never comes is counted too.
    pub fn faults(&self) -> u64 {
        self.faults.iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }

    /// Faults of the kind of `fault` that struck; the length of a delay is not looked at.
    pub fn faults_of(&self, fault: Fault) -> u64 {
        self.faults[fault.kind()].load(Ordering::SeqCst)
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn forward(&self) {
        self.forwarded.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn deliver_late(&self) {
        self.delivered_late.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn strike(&self, fault: Fault) {
        if fault != Fault::None {
            self.faults[fault.kind()].fetch_add(1, Ordering::SeqCst);
        }
    }
}
