//! The plain sum: what clients were told.

use lambda_simulator::EnvironmentId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Statement of an answer about a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200: it counts.
    Acknowledged,
    /// 503 that says "not counted".
    Refused,
    /// No answer, or one that says that it may still be counted.
    Unknown,
}

/// All visits of a run, by page and by the environment that took them.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

/// When an acknowledged visit was sent, and when its answer was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Sent.
    pub sent: Instant,
    /// Answered.
    pub answered: Instant,
}

#[derive(Debug, Default)]
struct Entries {
    acknowledged: BTreeMap<String, u64>,
    refused: u64,
    unknown: BTreeMap<String, u64>,
    times: HashMap<EnvironmentId, Vec<Acknowledged>>,
}

impl Ledger {
    /// Writes down one visit that was sent at `sent` and is answered now.
    pub fn note(&self, page: &str, sent: Instant, outcome: Outcome, environment: Option<EnvironmentId>) {
        let mut entries = self.lock();
        match outcome {
            Outcome::Acknowledged => {
                *entries.acknowledged.entry(page.to_owned()).or_default() += 1;
                if let Some(environment) = environment {
                    let visit = Acknowledged { sent, answered: Instant::now() };
                    entries.times.entry(environment).or_default().push(visit);
                }
            }
            Outcome::Refused => entries.refused += 1,
            Outcome::Unknown => *entries.unknown.entry(page.to_owned()).or_default() += 1,
        }
    }

    /// Acknowledged visits of each page.
    pub fn acknowledged(&self) -> BTreeMap<String, u64> {
        self.lock().acknowledged.clone()
    }

    /// Acknowledged visits in all.
    pub fn total(&self) -> u64 {
        self.lock().acknowledged.values().sum()
    }

    /// Visits refused as not counted.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// Visits of which no answer tells whether they count.
    pub fn unknown(&self) -> u64 {
        self.lock().unknown.values().sum()
    }

    /// The visits that an environment acknowledged, in order.
    pub fn visits_of(&self, environment: EnvironmentId) -> Vec<Acknowledged> {
        self.lock().times.get(&environment).cloned().unwrap_or_default()
    }

    /// Holds the counts against what was acknowledged.
    pub fn compare(&self, counted: &BTreeMap<String, u64>) -> Verdict {
        let entries = self.lock();
        let mut verdict = Verdict { acknowledged: entries.acknowledged.values().sum(), ..Verdict::default() };
        verdict.counted = counted.values().sum();
        let pages =
            entries.acknowledged.keys().chain(counted.keys().filter(|page| !entries.acknowledged.contains_key(*page)));
        for page in pages {
            let told = entries.acknowledged.get(page).copied().unwrap_or(0);
            let open = entries.unknown.get(page).copied().unwrap_or(0);
            let count = counted.get(page).copied().unwrap_or(0);
            verdict.lost += told.saturating_sub(count);
            verdict.doubled += count.saturating_sub(told + open);
        }
        verdict
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Difference of counts and acknowledged visits, page by page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged visits.
    pub acknowledged: u64,
    /// Visits counted in Redis.
    pub counted: u64,
    /// Acknowledged and not counted.
    pub lost: u64,
    /// Counted without an acknowledgement, or twice.
    pub doubled: u64,
    /// Visits that days or the site have too few or too many of, and those that a full journal left out.
    pub undated: u64,
}

impl Verdict {
    /// Nothing lost, nothing doubled, and each visit on its day.
    pub fn is_exact(&self) -> bool {
        self.lost + self.doubled + self.undated == 0
    }
}
