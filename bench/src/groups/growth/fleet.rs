//! Many environments in the lifecycle simulator.

use super::Curve;
use crate::effort::Effort;
use crate::events::id;
use crate::statistics::rate;
use crate::subject::{endpoints, function, servers};
use lambda_simulator::{Choice, FunctionConfig, Simulator, http_api_event};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use test_support::RedisServer;
use tokio::runtime::Builder;

const RECORD: &str = "record-visit";

/// Visits at the same time.
const AT_ONCE: usize = 8;

/// Longest wait for the environments to be frozen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Visits a second by the number of environments that take turns.
pub(super) fn environments(effort: Effort) -> Curve {
    let numbers: &[usize] = effort.choose(&[1, 10, 50, 100, 200], &[1, 10]);
    let servers = servers(2);
    let runtime = Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    let measured = |environments: &usize| {
        let visits = effort.choose(6_000, 300);
        (*environments as f64, runtime.block_on(fleet(&servers, *environments, visits)))
    };
    numbers.iter().map(measured).collect()
}

async fn fleet(servers: &[RedisServer], environments: usize, visits: usize) -> f64 {
    let simulator = Arc::new(Simulator::start().expect("the simulator starts"));
    let config = FunctionConfig {
        env: vec![("REDIS_ENDPOINTS".into(), endpoints(servers))],
        // All take their turn, as under a load that needs them all.
        choice: Choice::LeastRecentlyUsed,
        timeout: PATIENCE,
        concurrency_limit: Some(environments),
        ..FunctionConfig::new(RECORD, function(RECORD))
    };
    simulator.deploy(config).expect("the function can be deployed");
    // As many at the same moment start as many.
    let first: Vec<_> = (0..environments).map(|number| visit(&simulator, number)).collect();
    for started in first {
        started.await.expect("no visit panics");
    }
    assert!(simulator.settled(RECORD, PATIENCE).await, "the environments are frozen");
    let (next, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let clients: Vec<_> = (0..AT_ONCE.min(environments))
        .map(|_| {
            let (simulator, next) = (Arc::clone(&simulator), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= visits {
                        return;
                    }
                    visit(&simulator, number).await.expect("no visit panics");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no client panics");
    }
    rate(visits, began.elapsed())
}

fn visit(simulator: &Arc<Simulator>, number: usize) -> tokio::task::JoinHandle<()> {
    let simulator = Arc::clone(simulator);
    tokio::spawn(async move {
        let event = http_api_event("POST", &format!("/visit/{}", id(number % 100))).to_string();
        loop {
            // Throttled: each environment is still at work behind its answer.
            if simulator.invoke(RECORD, event.clone()).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
}
