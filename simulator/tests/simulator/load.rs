//! Many invocations at once: all are answered, and each event is served exactly once.

use crate::bench::{Bench, PROBE, answer};
use std::collections::BTreeMap;

/// Clients that invoke one after another.
const CLIENTS: usize = 8;

/// Invocations of each.
const EACH: usize = 100;

#[tokio::test]
async fn each_of_many_invocations_is_served_once() {
    let bench = Bench::with_variables(&[]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| bench.simulator.invoke(PROBE, "{}")).collect();
    let mut highest = BTreeMap::new();
    for turn in 1..=EACH {
        let mut next = Vec::new();
        for pending in clients {
            let invocation = pending.await.unwrap();
            let count = answer(&invocation)["count"].as_u64().unwrap();
            let last = highest.entry(invocation.environment).or_insert(0);
            *last = count.max(*last);
            if turn < EACH {
                next.push(bench.simulator.invoke(PROBE, "{}"));
            }
        }
        clients = next;
    }
    bench.settle().await;
    assert_eq!(highest.values().sum::<u64>(), (CLIENTS * EACH) as u64);
    for (environment, count) in highest {
        assert_eq!(bench.info(environment).invocations, count);
    }
}
