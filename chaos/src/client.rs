//! Clients that visit pages side by side.

use crate::ledger::Outcome;
use crate::world::World;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Pages of the site. The first ones are visited most.
pub const PAGES: usize = 300;

/// A page as a visitor would choose it: half of the visits go to an eighth of the pages.
pub fn page(rng: &mut Rng) -> String {
    let skewed = rng.f64().powi(3);
    // Below PAGES, since the random number is below 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let number = (skewed * PAGES as f64) as usize;
    format!("page-{number}")
}

/// Clients that go on until they are stopped.
#[derive(Debug)]
pub struct Site {
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Site {
    /// Stops the clients; each has the answer to its last visit.
    pub async fn stop(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// `clients` at a time send visits until they are stopped, each its next one when the one before was answered,
/// with a short pause: the machine is to keep up.
pub fn keep_visiting(world: &Arc<World>, clients: usize, seed: u64) -> Site {
    let stopped = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (world, stopped) = (Arc::clone(world), Arc::clone(&stopped));
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(client as u64));
        tasks.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                world.visit(&page(&mut rng)).await;
                tokio::time::sleep(Duration::from_millis(rng.u64(1..20))).await;
            }
        });
    }
    Site { stopped, tasks }
}

/// `clients` at a time send `visits` in all; each sends its next one when the one before was answered.
/// A client that is refused waits for a moment and sends another. The tasks end when all are sent.
pub fn load(world: &Arc<World>, clients: usize, visits: u64, seed: u64) -> JoinSet<()> {
    let left = Arc::new(AtomicI64::new(i64::try_from(visits).unwrap_or(i64::MAX)));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (world, left) = (Arc::clone(world), Arc::clone(&left));
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(client as u64));
        tasks.spawn(async move {
            while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                if world.visit(&page(&mut rng)).await == Outcome::Refused {
                    left.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
    }
    tasks
}
