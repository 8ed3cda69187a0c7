//! Finished days.

use crate::subject::Subject;
use redis::Commands;
use std::time::Duration;
use visits_core::clock::ManualClock;
use visits_core::ring::Ring;
use visits_core::rollup::{Rollup, Settings, roll_up};
use visits_core::shard::Weight;

pub(crate) async fn a_finished_day_becomes_numbers_and_a_month_a_list(subject: &Subject) {
    let add = |shard: &str, key: &str, visitors: &[u64]| {
        let (key, mut redis) = subject.key(shard, key);
        let _: bool = redis.pfadd(key, visitors).unwrap();
    };
    // Shard `two` is to have the visitors of the page, whatever shard has them.
    add("one", "visitors:2023-11-30:home", &[1, 2, 3]);
    add("two", "visitors:2023-11-30:home", &[3, 4]);
    for day in ["2023-11-01", "2023-11-30"] {
        let (list, mut redis) = subject.key("two", &format!("top:{day}"));
        let _: i64 = redis.zadd(list, "home", 5).unwrap();
    }
    let shard = |name: &str, weight| (name.parse().unwrap(), Weight::new(weight).unwrap());
    let (ring, time) = (Ring::new([shard("one", 0), shard("two", 1)]).unwrap(), ManualClock::new());
    time.advance(Duration::from_hours(17 * 24));
    let settings = Settings { history_days: 400, budget: Duration::from_secs(30).into() };
    let run = roll_up(subject.store(), &ring, &time.clock(), settings).await;
    let expected = Rollup { days_rolled_up: true, sketches_moved: 1, sketches_counted: 1, ..Rollup::default() };
    assert_eq!(run, expected);
    for shard in ["one", "two"] {
        let (sketch, mut redis) = subject.key(shard, "visitors:2023-11-30:home");
        assert_eq!(redis.exists(sketch), Ok(false));
    }
    let (month, mut redis) = subject.key("two", "days:2023-11:home");
    assert_eq!(redis.hget(month, "30u"), Ok(4));
    let (list, mut redis) = subject.key("two", "top:2023-11");
    assert_eq!(redis.zscore(list, "home"), Ok(Some(10.0)));
    assert_eq!(roll_up(subject.store(), &ring, &time.clock(), settings).await.sketches_counted, 0);
}
