//! `visits rehome`: brings all pages to the shards that own them, as `flush-visits` does, and stays until it is done.

mod bar;

use crate::exit::{Failure, Outcome};
use crate::output::{NO_ERRORS, Output, counted};
use crate::rings::Rings;
use crate::shards::Shards;
use bar::Bar;
use serde::Serialize;
use std::time::Duration;
use visits_core::handoff::{Delivery, deliver};
use visits_core::rehome::{Rehome, rehome};

/// Longest time of one run: a scan of all pages must fit, which goes through some hundred thousand a second.
const BUDGET: Duration = Duration::from_mins(10);

/// Runs in a row with failed calls before it is given up: a server that restarts should be back by then.
const PATIENCE: u32 = 20;

/// What all runs did together.
#[derive(Default, Serialize)]
struct Document {
    ring_settled: bool,
    pages_taken: u64,
    visits_taken: u64,
    pages_delivered: u64,
    copies_set_aside: usize,
    records_rejected: usize,
    warnings: Vec<String>,
}

/// Runs until the ring is settled, or fails with what stands in the way.
pub(crate) async fn run(shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let bar = Bar::new(shards.len());
    let mut document = Document::default();
    let mut failed = 0;
    while !document.ring_settled {
        let (delivery, done) = once(shards).await;
        if let Some(refusal) = done.refusal() {
            return Err(Failure::Refused(refusal));
        }
        failed = if done.rehoming_calls_failed + delivery.calls_failed > 0 { failed + 1 } else { 0 };
        if failed == PATIENCE {
            return Err(reason(shards).await);
        }
        document.add(&delivery, &done);
        if let Ok(Rings(states)) = Rings::ask(shards).await {
            bar.show(&states, document.pages_taken);
        }
        if !document.ring_settled {
            tokio::time::sleep(pause(shards)).await;
        }
    }
    bar.finish();
    document.warn();
    document.write(output)
}

async fn once(shards: &Shards) -> (Delivery, Rehome) {
    let (store, ring, clock, timing) =
        (&shards.store, &shards.ring, shards.config.clock(), shards.config.testing.timing);
    let delivery = deliver(store, ring, &clock, timing, BUDGET).await;
    (delivery, rehome(store, ring, &clock, timing, BUDGET).await)
}

/// Between two runs. What they wait for takes a minute each time.
fn pause(shards: &Shards) -> Duration {
    shards.config.testing.timing.delivered_kept / 60
}

/// What a shard says now that failed before.
async fn reason(shards: &Shards) -> Failure {
    let unknown = || Failure::Refused("calls go on failing; the log of flush-visits says why".to_owned());
    Rings::ask(shards).await.err().map_or_else(unknown, Failure::from)
}

impl Document {
    fn add(&mut self, delivery: &Delivery, done: &Rehome) {
        self.ring_settled = done.ring_settled;
        self.pages_taken += done.pages_taken;
        self.visits_taken += done.visits_taken;
        self.pages_delivered += delivery.pages_delivered;
        self.copies_set_aside += delivery.copies_set_aside;
        self.records_rejected += done.records_rejected;
    }

    fn warn(&mut self) {
        let Self { copies_set_aside, records_rejected, .. } = *self;
        if copies_set_aside > 0 {
            self.warnings.push(format!(
                "{} damaged and set aside, see the shards' keys `aside`",
                counted(copies_set_aside as u64, "envelope", "envelopes")
            ));
        }
        if records_rejected > 0 {
            self.warnings.push("records that hold something else than visits were left where they are".to_owned());
        }
    }

    fn write(&self, output: &mut Output) -> Result<Outcome, Failure> {
        if output.is_json() {
            output.object(self)?;
        } else {
            let Self { pages_taken, visits_taken, .. } = self;
            let (pages, visits) = (counted(*pages_taken, "page", "pages"), counted(*visits_taken, "visit", "visits"));
            output.text(&format!("{pages} with {visits} moved; every page is where the ring places it.\n"))?;
            output.tell(NO_ERRORS, &self.warnings)?;
        }
        Ok(Outcome::with(&self.warnings))
    }
}
