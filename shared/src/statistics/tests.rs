//! The service over shards on real Redis. Days, sketches and lists are put there by hand, as the fold leaves them.

use super::*;
use crate::clock::ManualClock;
use crate::tests::{Fault, Shards, page};
use redis::Commands;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

/// 2023-11-14 22:13:20, where a manual clock starts.
const TODAY: &str = "2023-11-14";

/// That moment, in milliseconds since the Unix epoch.
const NOW: u64 = 1_700_000_000_000;

/// Two shards, `a` and `b`. The first page below is the first one's, and so on.
struct World {
    shards: Shards,
    figures: Figures,
    pages: [PageId; 2],
    time: ManualClock,
}

fn world(settings: &[(&str, &str)]) -> World {
    let shards = Shards::with(2, settings);
    let (time, ring) = (ManualClock::new(), shards.ring());
    let of = |shard| {
        (0..1_000).map(|number| page(&format!("page-{number}"))).find(|page| ring.owner(page.as_str()) == shard)
    };
    let pages = [of(0).unwrap(), of(1).unwrap()];
    let figures = Figures::new(Arc::clone(shards.store()), ring, time.clock(), shards.config());
    let world = World { shards, figures, pages, time };
    (0..2).for_each(|shard| world.settle(shard));
    world
}

impl World {
    /// Has a shard know that no page moves.
    fn settle(&self, shard: ShardIndex) {
        let ring = self.shards.ring().fingerprint().to_string();
        self.shards.set_fields(shard, "shard", &[("ring", ring)]);
    }

    fn list(&self, shard: ShardIndex, day: &str, pages: &[(u64, &str)]) {
        let _: i64 = self.shards.connect().zadd_multiple(self.shards.key(shard, &format!("top:{day}")), pages).unwrap();
    }

    fn sketch(&self, shard: ShardIndex, of: &str, visitors: &[u64]) {
        let _: bool = self.shards.connect().pfadd(self.shards.key(shard, &format!("visitors:{of}")), visitors).unwrap();
    }

    /// Appends a batch to a shard's journal at this moment, in milliseconds.
    fn write_journal(&self, shard: ShardIndex, at: u64) {
        let mut entry = redis::cmd("XADD");
        entry.arg(self.shards.key(shard, "journal")).arg(format!("{at}-0")).arg("b").arg("a batch");
        let _: String = entry.query(&mut self.shards.connect()).unwrap();
    }

    fn down(&self, shard: ShardIndex) {
        self.shards.set_down(shard, Some(Fault::Unreachable));
    }

    fn count(&self, shard: ShardIndex, page: &PageId) -> Option<u64> {
        self.shards.connect().hget(self.shards.key(shard, &format!("page:{page}")), "total").unwrap()
    }

    /// Two days of the site, 5 visits, one of them by a bot.
    fn fill_site(&self, shard: ShardIndex) {
        self.shards.set_fields(shard, "site", &[("total", 5), ("bots", 1)]);
        self.shards.set_fields(
            shard,
            "site:2023-11",
            &[("13", 1), ("13u", 1), ("14", 3), ("14b", 1), ("14o", 1), ("13r", 2)],
        );
    }
}

fn written(answer: &impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

#[tokio::test]
async fn a_pages_days_come_from_its_owner_while_no_page_moves() {
    let world = world(&[]);
    let home = &world.pages[1];
    for (shard, people) in [(0, 9), (1, 1)] {
        world.shards.set_fields(shard, &format!("page:{home}"), &[("total", people + 4), ("bots", 1)]);
        world.shards.set_fields(
            shard,
            &format!("days:2023-11:{home}"),
            &[("13", people), ("13u", 7), ("14", 3), ("14b", 1)],
        );
        world.sketch(shard, &format!("{TODAY}:{home}"), &[1, 2]);
        // Visitors who came late do not undo what was counted, unless they are more.
        world.sketch(shard, &format!("2023-11-13:{home}"), &[1]);
    }
    let history = world.figures.history(home, 2).await.unwrap();
    let expected = json!({
        "page": home.as_str(), "from": "2023-11-13", "to": TODAY, "visits": 5, "bots": 1,
        "days": [
            {"day": "2023-11-13", "people": 1, "bots": 0, "visitors": 7},
            {"day": TODAY, "people": 3, "bots": 1, "visitors": 2},
        ],
        "as_of": "2023-11-14T22:13:20Z",
    });
    assert_eq!(written(&history), expected);
    assert_eq!(world.figures.history(home, 400).await.unwrap().days.len(), 400);
    world.down(0);
    assert!(world.figures.history(home, 2).await.is_ok());
    world.down(1);
    assert_eq!(world.figures.history(home, 2).await, Err(Unavailable));
}

#[tokio::test]
async fn answers_are_as_of_the_oldest_visit_that_is_not_in_them_yet() {
    let world = world(&[("VISITS_CACHE_TTL", "0")]);
    let (home, query) = (&world.pages[1], TopQuery { days: 1, limit: 1, search: None });
    let as_of = async || {
        let history = world.figures.history(home, 1).await.unwrap().as_of;
        (history, world.figures.top(&query).await.unwrap().as_of, world.figures.summary(1).await.as_of)
    };
    let now = NOW / 1_000;
    assert_eq!(as_of().await, (now, now, now));
    world.write_journal(0, NOW - 61_500);
    world.write_journal(0, NOW - 10_000);
    assert_eq!(as_of().await, (now, now - 62, now - 62), "a page's days are in its own shard's journal");
    world.write_journal(1, NOW - 90_000);
    assert_eq!(as_of().await, (now - 90, now - 90, now - 90));
    // A server's clock that is ahead promises nothing.
    for shard in 0..2 {
        let _: i64 = world.shards.connect().del(world.shards.key(shard, "journal")).unwrap();
    }
    world.write_journal(1, NOW + 90_000);
    assert_eq!(as_of().await, (now, now, now));
}

#[tokio::test]
async fn while_pages_move_all_shards_are_asked_and_nothing_counts_twice() {
    let world = world(&[]);
    let home = &world.pages[1];
    for shard in [0, 1] {
        world.shards.set_fields(shard, "shard", &[("moving", 1)]);
        world.shards.set_fields(shard, &format!("days:2023-11:{home}"), &[("14", 1), ("14b", 1), ("14u", 1)]);
    }
    // 10 of the 40 that left are on their way.
    world.shards.set_fields(0, &format!("page:{home}"), &[("total", 2), ("bots", 1), ("out:7", 40)]);
    world.shards.set_fields(1, &format!("page:{home}"), &[("total", 32), ("bots", 1), ("in:a:7", 30)]);
    let history = world.figures.history(home, 1).await.unwrap();
    assert_eq!((history.visits, history.bots), (44, 2));
    assert_eq!(written(&history.days), json!([{"day": TODAY, "people": 2, "bots": 2, "visitors": 1}]));
    world.shards.set_fields(1, "shard", &[("members", "a,b,c")]);
    assert_eq!(world.figures.history(home, 1).await, Err(Unavailable), "`c` may hold a part of it");
    world.shards.set_fields(1, "shard", &[("members", "a,b")]);
    assert!(world.figures.history(home, 1).await.is_ok());
    world.down(0);
    assert_eq!(world.figures.history(home, 1).await, Err(Unavailable));
}

#[tokio::test]
async fn a_history_counts_bots_that_are_on_their_way() {
    let world = world(&[]);
    let home = &world.pages[1];
    for shard in [0, 1] {
        world.shards.set_fields(shard, "shard", &[("moving", 1)]);
    }
    // 10 of the 40 that left are on their way, 2 of them by bots.
    world.shards.set_fields(0, &format!("page:{home}"), &[("total", 2), ("out:7", 40), ("out:7:bots", 5)]);
    world.shards.set_fields(
        1,
        &format!("page:{home}"),
        &[("total", 32), ("bots", 4), ("in:a:7", 30), ("in:a:7:bots", 3)],
    );
    let history = world.figures.history(home, 1).await.unwrap();
    assert_eq!((history.visits, history.bots), (44, 6));
}

#[tokio::test]
async fn a_top_list_has_all_shards_pages_and_says_when_one_is_missing() {
    let world = world(&[("VISITS_CACHE_TTL", "0")]);
    world.list(0, TODAY, &[(4, "a-o"), (1, "b-o"), (7, "none")]);
    world.list(1, "2023-11-08", &[(5, "home"), (9, "o-before")]);
    world.list(1, "2023-11-09", &[(4, "home")]);
    world.list(0, "2023-11-10", &[(5, "home")]);
    let query = TopQuery { days: 6, limit: 2, search: Some("O".into()) };
    let top = world.figures.top(&query).await.unwrap();
    let pages = json!([{"page": "home", "people": 9}, {"page": "none", "people": 7}]);
    let as_of = "2023-11-14T22:13:20Z";
    let expected = json!({"from": "2023-11-09", "to": TODAY, "pages": pages, "complete": true, "as_of": as_of});
    assert_eq!(written(&*top), expected);
    let top = world.figures.top(&TopQuery { days: 7, search: Some("ho".into()), ..query.clone() }).await.unwrap();
    assert_eq!(written(&top.pages), json!([{"page": "home", "people": 14}]));
    world.down(0);
    let top = world.figures.top(&query).await.unwrap();
    assert_eq!((top.pages[0].page.as_str(), top.complete), ("home", false));
    world.down(1);
    assert_eq!(world.figures.top(&query).await, Err(Unavailable));
}

#[tokio::test]
async fn a_long_window_takes_months_that_are_listed_and_the_days_of_others() {
    let world = world(&[]);
    world.list(0, "2023-10", &[(50, "a")]);
    world.list(0, "2023-10-05", &[(7, "a"), (7, "in its month's list")]);
    for (day, people) in [("2023-09-05", 1), ("2023-09-30", 2), ("2023-11-02", 4), (TODAY, 8)] {
        world.list(0, day, &[(people, "b"), (people, "B?")]);
    }
    let query = TopQuery { days: 100, limit: 3, search: None };
    let top = world.figures.top(&query).await.unwrap();
    let pages: Vec<_> = top.pages.iter().map(|top| (top.page.as_str(), top.people)).collect();
    assert_eq!(pages, [("a", 50), ("B?", 15), ("b", 15)]);
}

#[tokio::test]
async fn a_summary_adds_up_the_site_and_tells_how_the_shards_are() {
    let world = world(&[]);
    (0..2).for_each(|shard| world.fill_site(shard));
    let mut summary = written(&*world.figures.summary(2).await);
    for shard in 0..2 {
        let latency = summary["shards"][shard].as_object_mut().unwrap().remove("latency_ms");
        assert!(latency.unwrap().as_f64().unwrap() >= 0.0);
    }
    let expected = json!({
        "from": "2023-11-13", "to": TODAY,
        "today": {"day": TODAY, "people": 6, "bots": 2, "visitors": 0},
        "total": {"visits": 10, "people": 8, "bots": 2},
        "days": [
            {"day": "2023-11-13", "people": 2, "bots": 0, "visitors": 2},
            {"day": TODAY, "people": 6, "bots": 2, "visitors": 0},
        ],
        "refused": {"origin": 2, "page": 0, "repeat": 4, "new_page": 0},
        "shards": [{"name": "a", "status": "ok"}, {"name": "b", "status": "ok"}],
        "complete": true, "as_of": "2023-11-14T22:13:20Z", "flush_interval_s": 30, "history_days": 400,
    });
    assert_eq!(summary, expected);
    let shard = |latency| written(&ShardHealth::new(&"a".parse().unwrap(), Some(Duration::from_micros(latency))));
    assert_eq!(shard(1_250), json!({"name": "a", "status": "ok", "latency_ms": 1.3}));
}

#[tokio::test]
async fn a_summary_without_a_shard_says_so_and_one_without_any_has_its_days() {
    let world = world(&[("VISITS_CACHE_TTL", "0"), ("VISITS_FLUSH_INTERVAL", "1500ms")]);
    world.fill_site(0);
    world.down(1);
    let summary = written(&*world.figures.summary(2).await);
    assert_eq!((&summary["complete"], &summary["total"]["visits"]), (&json!(false), &json!(5)));
    assert_eq!(summary["shards"][1], json!({"name": "b", "status": "down"}));
    assert_eq!(summary["flush_interval_s"], json!(1.5));
    world.down(0);
    let summary = world.figures.summary(2).await;
    assert_eq!((summary.days.len(), summary.total.visits, summary.complete), (2, 0, false));
}

#[tokio::test]
async fn a_summary_is_shown_again_for_5_s_at_most_and_not_after_a_change() {
    let world = world(&[("VISITS_CACHE_TTL", "1h")]);
    let shown = async |visits: u64| {
        world.shards.set_fields(0, "site", &[("total", visits)]);
        world.figures.summary(2).await.total.visits
    };
    assert_eq!((shown(1).await, shown(2).await), (1, 1));
    world.time.advance(Duration::from_secs(5));
    assert_eq!(shown(3).await, 3);
    let change = Change { count: 1, forget_days: false };
    world.figures.set(&world.pages[0], change, &"k".parse().unwrap()).await.unwrap();
    assert_eq!(shown(4).await, 4);
}

#[tokio::test]
async fn a_page_that_is_forgotten_leaves_neither_days_nor_a_place_in_a_list() {
    let world = world(&[("VISITS_HISTORY_DAYS", "10")]);
    let home = &world.pages[1];
    // Also what was kept under a longer setting.
    for month in ["2022-10", "2023-11"] {
        for id in [home.as_str(), "other"] {
            world.shards.set_fields(1, &format!("days:{month}:{id}"), &[("12", 1)]);
            world.list(1, month, &[(3, id)]);
        }
    }
    for id in [home.as_str(), "other"] {
        world.list(1, TODAY, &[(3, id)]);
        world.sketch(1, &format!("{TODAY}:{id}"), &[1]);
    }
    world.figures.set(home, Change { count: 0, forget_days: true }, &"k".parse().unwrap()).await.unwrap();
    assert_eq!(world.shards.keys(1, &format!("*{home}")), Vec::<String>::new());
    assert_eq!(world.shards.keys(1, "*other").len(), 3);
    for list in ["2022-10", "2023-11", TODAY] {
        let left: Vec<String> =
            world.shards.connect().zrange(world.shards.key(1, &format!("top:{list}")), 0, -1).unwrap();
        assert_eq!(left, ["other"], "{list}");
    }
}

#[tokio::test]
async fn the_count_before_is_told_as_it_was_shown() {
    let world = world(&[("VISITS_COUNT", "people")]);
    world.shards.set_fields(1, &format!("page:{}", world.pages[1]), &[("total", 7), ("bots", 1)]);
    let change = Change { count: 9, forget_days: false };
    let changed = world.figures.set(&world.pages[1], change, &"k".parse().unwrap()).await;
    assert_eq!(changed, Ok(Changed { previous: 6, repeated: false }));
}

#[tokio::test]
async fn a_change_goes_to_the_pages_owner_and_says_whether_it_is_made_or_may_have_been() {
    let world = world(&[]);
    let (home, key) = (&world.pages[1], "k".parse().unwrap());
    let set = || world.figures.set(home, Change { count: 7, forget_days: false }, &key);
    world.shards.fail_next(1, [Some(Fault::Unreachable), Some(Fault::AnswerLost)]);
    assert_eq!(set().await, Err(ChangeError::Unavailable));
    assert_eq!(set().await, Err(ChangeError::Unknown));
    assert_eq!(set().await, Ok(Changed { previous: 0, repeated: true }));
    for (count, forget_days) in [(8, false), (7, true)] {
        let taken = world.figures.set(home, Change { count, forget_days }, &key).await;
        assert_eq!(taken, Err(ChangeError::KeyTaken), "{count} {forget_days}");
    }
    assert_eq!((world.count(0, home), world.count(1, home)), (None, Some(7)));
    world.shards.set_fields(1, "shard", &[("moving", 1)]);
    // The same call again is told what the first one did. Another one changes nothing.
    assert_eq!(set().await, Ok(Changed { previous: 0, repeated: true }));
    let another = "l".parse().unwrap();
    let moving = world.figures.set(home, Change { count: 8, forget_days: false }, &another).await;
    assert_eq!((moving, world.count(1, home)), (Err(ChangeError::Moving), Some(7)));
}

fn id_of(page: &str, key: &str) -> String {
    key.parse::<IdempotencyKey>().unwrap().id(&PageId::from_decoded(page).unwrap()).to_string()
}

#[test]
fn a_key_belongs_to_a_page() {
    assert_eq!(id_of("home", "k"), id_of("home", "k"));
    assert_ne!(id_of("home", "k"), id_of("a", "k"));
    assert_ne!(id_of("home", "k"), id_of("h", "omek"));
    // Kept by shards for as long as a change may be sent again: it must not follow the program's version.
    assert_eq!(id_of("home", "5f0c"), "93c4f39553cd4f2ad50dd8b208ba02e8");
}

#[test]
fn a_key_is_visible_ascii_and_not_too_long() {
    for text in ["k", "\"5f0c\"", &"k".repeat(128)] {
        assert!(text.parse::<IdempotencyKey>().is_ok(), "{text}");
    }
    for text in ["", " ", "a b", "é", "a\n", &"k".repeat(129)] {
        assert_eq!(text.parse::<IdempotencyKey>(), Err(InvalidKey), "{text:?}");
    }
}

#[tokio::test]
async fn who_asks_at_once_is_answered_by_one_fetch_and_a_failure_is_not_kept() {
    let (time, asked) = (ManualClock::new(), AtomicU32::new(0));
    let recent = Recent::new(time.clock(), SHOWN_AGAIN, 8);
    assert_eq!(recent.get("key", async { Err::<u32, _>("down") }).await, Err("down"));
    let fetch = || async {
        tokio::task::yield_now().await;
        Ok::<_, &str>(asked.fetch_add(1, Ordering::Relaxed))
    };
    let (one, other) = tokio::join!(recent.get("key", fetch()), recent.get("key", fetch()));
    assert_eq!((*one.unwrap(), *other.unwrap()), (0, 0));
}
