use super::*;
use visits_core::clock::ManualClock;
use visits_core::tests::{Shards, page};

struct World {
    lines: Lines,
    cache: Arc<CountCache>,
    written: Arc<Mutex<Vec<String>>>,
    time: ManualClock,
    _store: Shards,
}

fn world() -> World {
    let store = Shards::with(2, &[("VISITS_METRICS", "VisitCounter")]);
    let config = store.config();
    let (time, written) = (ManualClock::new(), Arc::new(Mutex::new(Vec::new())));
    let cache = Arc::new(CountCache::new(Arc::clone(store.store()), config.ring(), time.clock(), config));
    let write = {
        let written = Arc::clone(&written);
        move |line: &str| written.lock().unwrap().push(line.to_owned())
    };
    let metrics = Metrics::to(config.metrics.clone().unwrap(), time.clock(), write);
    let lines = Lines::new(Arc::clone(&cache), metrics, config, time.clock());
    World { lines, cache, written, time, _store: store }
}

impl World {
    /// A request for a count, to its end.
    async fn request(&self, id: &str) {
        self.cache.get(&page(id)).await.unwrap();
        self.lines.clone().run(0).await;
    }

    /// The sum of a metric over all lines.
    fn sum(&self, metric: &str) -> u64 {
        let written = self.written.lock().unwrap();
        let values =
            written.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()[metric].as_u64());
        values.flatten().sum()
    }
}

#[tokio::test]
async fn a_busy_environment_writes_a_line_an_interval_and_forgets_no_request() {
    let world = world();
    for second in 0..90 {
        world.request("home").await;
        assert_eq!(world.written.lock().unwrap().len(), 1 + second / 30, "second {second}");
        world.time.advance(Duration::from_secs(1));
    }
    world.request("home").await;
    assert_eq!((world.sum("CacheMisses"), world.sum("CacheHits")), (19, 72), "5 s of cache");
}

#[tokio::test]
async fn an_environment_that_was_frozen_tells_at_its_next_request_what_it_had_not() {
    let world = world();
    world.request("home").await;
    world.request("home").await;
    assert_eq!((world.sum("CacheMisses"), world.sum("CacheHits")), (1, 0));
    world.time.freeze(Duration::from_mins(10));
    world.request("away").await;
    assert_eq!((world.sum("CacheMisses"), world.sum("CacheHits")), (2, 1));
}
