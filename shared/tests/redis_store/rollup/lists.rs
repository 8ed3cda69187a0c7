//! Top lists of days and months.

use super::{World, key};
use redis::{Commands, Connection};

/// A list of so many pages, the first of which has the fewest visits.
fn fill(redis: &mut Connection, day: &str, pages: u32) {
    let members: Vec<(u32, String)> = (1..=pages).map(|number| (number, format!("page-{number}"))).collect();
    let _: i64 = redis.zadd_multiple(key(&format!("top:{day}")), &members).unwrap();
}

#[tokio::test]
async fn the_lists_of_the_present_day_and_of_finished_ones_are_trimmed() {
    let world = World::new();
    let mut redis = world.redis();
    for day in ["2023-11-13", "2023-11-14"] {
        fill(&mut redis, day, 1_200);
    }
    world.run().await;
    assert_eq!((redis.zcard(key("top:2023-11-13")), redis.zcard(key("top:2023-11-14"))), (Ok(200), Ok(200)));
    assert_eq!(redis.zscore(key("top:2023-11-14"), "page-1200"), Ok(Some(1_200.0)));
    assert_eq!(redis.zscore(key("top:2023-11-14"), "page-1000"), Ok(None::<f64>));
    world.night();
    world.run().await;
    assert_eq!(redis.zcard(key("top:2023-11-14")), Ok(200));
}

#[tokio::test]
async fn a_months_list_has_the_sums_of_its_days_and_is_made_again_for_what_comes_late() {
    let world = World::new();
    let mut redis = world.redis();
    for day in ["2023-11-01", "2023-11-15", "2023-11-30"] {
        fill(&mut redis, day, 250);
    }
    let _: i64 = redis.zadd(key("top:2023-11-15"), "best", 1_000).unwrap();
    let _: i64 = redis.zadd(key("top:2023-11-16"), "best", 500).unwrap();
    for _ in 0..3 {
        world.time.advance(std::time::Duration::from_hours(5 * 24));
        world.run().await;
        assert_eq!(redis.exists(key("top:2023-11")), Ok(false));
    }
    world.time.advance(std::time::Duration::from_hours(2 * 24));
    world.run().await;
    assert_eq!(redis.zcard(key("top:2023-11")), Ok(200));
    assert_eq!(redis.zscore(key("top:2023-11"), "best"), Ok(Some(1_500.0)));
    assert_eq!(redis.zscore(key("top:2023-11"), "page-250"), Ok(Some(750.0)));
    assert_eq!(redis.zcard(key("top:2023-11-15")), Ok(200));
    let _: f64 = redis.zincr(key("top:2023-11-30"), "best", 700).unwrap();
    world.time.advance(std::time::Duration::from_hours(24));
    world.run().await;
    assert_eq!(redis.zscore(key("top:2023-11"), "best"), Ok(Some(2_200.0)));
}
