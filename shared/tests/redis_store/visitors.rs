//! How exact unique visitors are.

use crate::helpers::{call, store_on};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::batch::{Batch, Sequence, SiteIncrement};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::store::Ledger;
use visits_core::store::redis::RedisStore;
use visits_core::store::statistics::Statistics;
use visits_core::visit::{Fingerprint, Refused, Secret, Visitor};

async fn visit(store: &RedisStore, sequence: u64, day: Day, visitors: &[Visitor]) {
    let site = SiteIncrement { visitors: visitors.to_vec(), refused: Refused::default() };
    let sequence = Sequence::new(sequence).unwrap();
    let batch = Batch::of_day(sequence, Some(day), Vec::new(), site, Clock::system().now());
    store.apply(0, &call(&[(Arc::new(batch), Duration::ZERO)])).await.unwrap();
}

/// Redis' sketches have a standard error of 0.81 %; the secrets of these days are chosen, so that the outcome is always the same.
#[tokio::test]
async fn a_hundred_thousand_visitors_of_a_day_are_counted_within_2_percent() {
    let server = RedisServer::start();
    let store = store_on(&server);
    let mut sequence = 0;
    for number in 1..=4 {
        let day = Day::from_epoch_millis(0).plus(number);
        let secret: Secret = format!("{number:032x}").parse().unwrap();
        let visitor = |number: u32| secret.pseudonym(Fingerprint::of(&number.to_string(), "Mozilla/5.0"));
        let visitors: Vec<Visitor> = (0..100_000).map(visitor).collect();
        // Twice, since who comes again is no further visitor.
        for visitors in visitors.chunks(25_000).chain(visitors.chunks(50_000)) {
            sequence += 1;
            visit(&store, sequence, day, visitors).await;
        }
        let counted = store.site_days(0, day, day).await.unwrap().days[0].visitors;
        assert!((98_000..=102_000).contains(&counted), "{counted}");
    }
}
