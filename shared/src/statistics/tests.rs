//! The service over shards that answer what they are told to.

mod fake;

use super::{Change, ChangeError, Changed, Figures, TopQuery, Unavailable};
use crate::config::Config;
use crate::page::PageId;
use crate::record::PageRecord;
use crate::store::statistics::{DayCount, PageDays, Refused, SiteDays};
use fake::{Fake, Part};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14 22:13:20, where a manual clock starts.
const TODAY: &str = "2023-11-14";

fn page(id: &str) -> PageId {
    PageId::from_decoded(id).unwrap()
}

fn day(people: u64, bots: u64, visitors: u64) -> DayCount {
    DayCount { people, bots, visitors }
}

struct World {
    figures: Figures<Fake>,
    shards: Fake,
    time: crate::clock::ManualClock,
}

/// Two shards; `home` is owned by the second.
fn world(settings: &[(&str, &str)]) -> World {
    let find = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
    let config = Config::from_vars(find).unwrap();
    let (time, ring) = (crate::clock::ManualClock::new(), config.ring());
    assert_eq!(ring.owner("home"), 1);
    let shards = Fake::settled(&ring);
    let figures = Figures::new(Arc::new(shards.clone()), ring, time.clock(), &config);
    World { figures, shards, time }
}

fn written(answer: &impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

#[tokio::test]
async fn a_pages_days_come_from_its_owner_while_no_page_moves() {
    let world = world(&[]);
    world.shards.edit(0, |part| part.days = PageDays { total: 99, bots: 9, days: vec![day(9, 9, 9); 2] });
    world.shards.edit(1, |part| part.days = PageDays { total: 5, bots: 1, days: vec![day(1, 0, 1), day(3, 1, 2)] });
    let history = world.figures.history(&page("home"), 2).await.unwrap();
    let expected = json!({
        "page": "home", "from": "2023-11-13", "to": TODAY, "visits": 5, "bots": 1,
        "days": [
            {"day": "2023-11-13", "people": 1, "bots": 0, "visitors": 1},
            {"day": TODAY, "people": 3, "bots": 1, "visitors": 2},
        ],
    });
    assert_eq!(written(&history), expected);
    world.shards.edit(0, |part| part.down = true);
    assert!(world.figures.history(&page("home"), 2).await.is_ok());
    world.shards.edit(1, |part| part.down = true);
    assert_eq!(world.figures.history(&page("home"), 2).await, Err(Unavailable));
}

#[tokio::test]
async fn while_pages_move_all_shards_are_asked_and_nothing_counts_twice() {
    let world = world(&[]);
    let record = |total, moved_in: &[(&str, u64)], moved_out: &[u64]| PageRecord {
        total,
        moved_in: moved_in.iter().map(|(shard, visits)| (((*shard).to_owned(), 7), *visits)).collect(),
        moved_out: moved_out.iter().map(|visits| (7, *visits)).collect(),
        ..PageRecord::default()
    };
    for shard in [0, 1] {
        world.shards.edit(shard, |part| {
            part.settled = None;
            part.days = PageDays { total: 2, bots: 1, days: vec![day(1, 1, 1)] };
        });
    }
    world.shards.edit(0, |part| part.record = record(2, &[], &[40]));
    world.shards.edit(1, |part| part.record = record(32, &[("redis_7070", 30)], &[]));
    let history = world.figures.history(&page("home"), 1).await.unwrap();
    // 10 of the 40 that left are on their way.
    assert_eq!((history.visits, history.bots), (44, 2));
    assert_eq!(written(&history.days), json!([{"day": TODAY, "people": 2, "bots": 2, "visitors": 1}]));
    world.shards.edit(0, |part| part.down = true);
    assert_eq!(world.figures.history(&page("home"), 1).await, Err(Unavailable));
}

#[tokio::test]
async fn a_history_that_a_shard_out_of_our_sight_may_belong_to_is_not_told() {
    let world = world(&[]);
    world.shards.edit(1, |part| {
        part.settled = None;
        part.members = vec!["redis_7072".parse().unwrap()];
    });
    assert_eq!(world.figures.history(&page("home"), 1).await, Err(Unavailable));
}

#[tokio::test]
async fn a_top_list_has_all_shards_pages_and_says_when_one_is_missing() {
    let world = world(&[("VISITS_CACHE_TTL", "0")]);
    world.shards.edit(0, |part| part.top = vec![(page("a"), 4), (page("b"), 1)]);
    world.shards.edit(1, |part| part.top = vec![(page("home"), 9)]);
    let query = TopQuery { days: 7, limit: 2, search: Some("o".into()) };
    let top = world.figures.top(&query).await.unwrap();
    let pages = json!([{"page": "home", "people": 9}, {"page": "a", "people": 4}]);
    assert_eq!(written(&*top), json!({"from": "2023-11-08", "to": TODAY, "pages": pages, "complete": true}));
    assert_eq!(world.shards.asked(1), [(2, Some("o".to_owned()))]);
    world.shards.edit(1, |part| part.down = true);
    let top = world.figures.top(&query).await.unwrap();
    assert_eq!((top.pages[0].page.as_str(), top.complete), ("a", false));
    world.shards.edit(0, |part| part.down = true);
    assert_eq!(world.figures.top(&query).await, Err(Unavailable));
}

fn site() -> SiteDays {
    let refused = Refused { origin: 1, page: 0, repeat: 2, new_page: 0 };
    SiteDays { total: 5, bots: 1, days: vec![day(1, 0, 1), day(3, 1, 0)], refused }
}

#[tokio::test]
async fn a_summary_adds_up_the_site_and_tells_how_the_shards_are() {
    let world = world(&[]);
    for shard in [0, 1] {
        world.shards.edit(shard, |part| part.site = site());
    }
    world.shards.edit(0, |part| part.latency = Duration::from_micros(1_250));
    let expected = json!({
        "from": "2023-11-13", "to": TODAY,
        "today": {"day": TODAY, "people": 6, "bots": 2, "visitors": 0},
        "total": {"visits": 10, "people": 8, "bots": 2},
        "days": [
            {"day": "2023-11-13", "people": 2, "bots": 0, "visitors": 2},
            {"day": TODAY, "people": 6, "bots": 2, "visitors": 0},
        ],
        "refused": {"origin": 2, "page": 0, "repeat": 4, "new_page": 0},
        "shards": [
            {"name": "redis_7070", "status": "ok", "latency_ms": 1.3},
            {"name": "redis_7071", "status": "ok", "latency_ms": 0.0},
        ],
        "complete": true, "as_of": "2023-11-14T22:13:20Z", "flush_interval_s": 30, "history_days": 400,
    });
    assert_eq!(written(&*world.figures.summary(2).await), expected);
}

#[tokio::test]
async fn a_summary_without_a_shard_says_so_and_one_without_any_has_its_days() {
    let world = world(&[("VISITS_CACHE_TTL", "0"), ("VISITS_FLUSH_INTERVAL", "1500ms")]);
    world.shards.edit(0, |part| part.site = site());
    world.shards.edit(1, |part| part.down = true);
    let summary = written(&*world.figures.summary(2).await);
    assert_eq!((&summary["complete"], &summary["total"]["visits"]), (&json!(false), &json!(5)));
    assert_eq!(summary["shards"][1], json!({"name": "redis_7071", "status": "down"}));
    assert_eq!(summary["flush_interval_s"], json!(1.5));
    world.shards.edit(0, |part| part.down = true);
    let summary = world.figures.summary(2).await;
    assert_eq!((summary.days.len(), summary.total.visits, summary.complete), (2, 0, false));
}

#[tokio::test]
async fn a_summary_is_shown_again_for_5_s_at_most_and_not_after_a_change() {
    let world = world(&[("VISITS_CACHE_TTL", "1h")]);
    let visits = |total| move |part: &mut Part| part.site = SiteDays { total, ..site() };
    let mut shown = Vec::new();
    world.shards.edit(0, visits(1));
    shown.push(world.figures.summary(2).await.total.visits);
    world.shards.edit(0, visits(2));
    shown.push(world.figures.summary(2).await.total.visits);
    world.time.advance(Duration::from_secs(5));
    shown.push(world.figures.summary(2).await.total.visits);
    world.shards.edit(0, visits(3));
    world.figures.set(&page("home"), Change { count: 1, forget_days: false }, &"k".parse().unwrap()).await.unwrap();
    shown.push(world.figures.summary(2).await.total.visits);
    assert_eq!(shown, [1, 1, 2, 3]);
}

#[tokio::test]
async fn a_change_goes_to_the_pages_owner_once_for_each_key() {
    let world = world(&[]);
    let (home, key, other) = (page("home"), "k".parse().unwrap(), "l".parse().unwrap());
    let set = |count, forget_days, key| world.figures.set(&home, Change { count, forget_days }, key);
    assert_eq!(set(7, false, &key).await, Ok(Changed { previous: 0, repeated: false }));
    assert_eq!(set(7, false, &key).await, Ok(Changed { previous: 0, repeated: true }));
    assert_eq!(set(8, false, &key).await, Err(ChangeError::KeyTaken));
    assert_eq!(set(7, true, &key).await, Err(ChangeError::KeyTaken));
    assert_eq!(set(8, true, &other).await, Ok(Changed { previous: 7, repeated: false }));
    assert_eq!(world.shards.count(0, &home), None);
    let forgotten = world.shards.edit(1, |part| part.forgotten).unwrap();
    assert_eq!((forgotten.0.to(forgotten.1).count(), forgotten.1.to_string()), (400, TODAY.to_owned()));
}

#[tokio::test]
async fn the_count_before_is_told_as_it_was_shown() {
    let world = world(&[("VISITS_COUNT", "people"), ("VISITS_HISTORY_DAYS", "10")]);
    let set = async |count, forget_days, key: &str| {
        world.figures.set(&page("home"), Change { count, forget_days }, &key.parse().unwrap()).await.unwrap().previous
    };
    assert_eq!((set(7, false, "k").await, set(0, true, "l").await), (0, 6));
    let (first, last) = world.shards.edit(1, |part| part.forgotten).unwrap();
    assert_eq!(first.to(last).count(), 400, "also what was kept under a longer setting");
}

#[tokio::test]
async fn a_change_that_is_not_made_says_whether_it_may_have_been() {
    let world = world(&[]);
    let (home, key) = (page("home"), "k".parse().unwrap());
    let set = || world.figures.set(&home, Change { count: 7, forget_days: false }, &key);
    world.shards.edit(1, |part| part.answer_lost = true);
    assert_eq!(set().await, Err(ChangeError::Unknown));
    world.shards.edit(1, |part| part.answer_lost = false);
    assert_eq!(set().await, Ok(Changed { previous: 0, repeated: true }));
    world.shards.edit(1, |part| part.down = true);
    assert_eq!(set().await, Err(ChangeError::Unavailable));
    world.shards.edit(1, |part| (part.down, part.settled) = (false, None));
    // The same call again is told what the first one did. Another one changes nothing.
    assert_eq!(set().await, Ok(Changed { previous: 0, repeated: true }));
    let another = "l".parse().unwrap();
    let moving = world.figures.set(&home, Change { count: 7, forget_days: false }, &another).await;
    assert_eq!(moving, Err(ChangeError::Moving));
}
