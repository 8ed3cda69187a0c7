use super::*;
use http::Response;
use lambda_runtime::tower::Layer;
use lambda_runtime::{Context as LambdaContext, Error, LambdaInvocation, Service, service_fn};
use std::sync::Mutex;
use visits_core::clock::ManualClock;
use visits_core::flusher::Limits;
use visits_core::lambda::invocations;
use visits_core::page::PageId;
use visits_core::tests::{Fault, Shards, page};

struct World {
    flusher: Arc<Flusher<RedisStore>>,
    store: Shards,
    time: ManualClock,
    home: PageId,
}

fn world() -> World {
    let (store, time) = (Shards::with(2, &[("REDIS_TIMEOUT", "5s")]), ManualClock::new());
    let config = store.config();
    let flusher = Flusher::new(Arc::clone(store.store()), config.ring(), time.clock(), Limits::from(config));
    let home = page("home");
    flusher.record(home.clone()).unwrap();
    World { flusher: Arc::new(flusher), store, time, home }
}

fn invocation(deadline: u64) -> LambdaInvocation {
    let mut context = LambdaContext::default();
    context.deadline = deadline;
    LambdaInvocation { parts: Response::new(()).into_parts().0, body: Vec::new().into(), context }
}

impl World {
    fn around<I>(&self, inner: I) -> impl Service<LambdaInvocation, Response = (), Error = Error>
    where
        I: Service<LambdaInvocation, Response = (), Error = Error, Future: Send> + Clone + Send + 'static,
    {
        invocations(Flush { flusher: Arc::clone(&self.flusher), clock: self.time.clock() }).layer(inner)
    }

    fn counted(&self) -> u64 {
        self.store.sum(&self.home)
    }
}

#[tokio::test]
async fn the_flush_comes_after_the_response() {
    let world = Arc::new(world());
    let seen = Arc::new(Mutex::new(None));
    let (asked, noted) = (Arc::clone(&world), Arc::clone(&seen));
    let mut service = world.around(service_fn(move |_: LambdaInvocation| {
        *noted.lock().unwrap() = Some(asked.counted());
        async { Ok::<(), Error>(()) }
    }));
    service.call(invocation(0)).await.unwrap();
    assert_eq!((*seen.lock().unwrap(), world.counted()), (Some(0), 1));
}

/// A way in which the layers round the handler fail, a panic in the call itself included.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Error,
    InTheCall,
    InTheFuture,
}

#[tokio::test]
async fn an_error_or_a_panic_round_the_handler_ends_nothing_and_costs_no_visit() {
    for failure in [Failure::Error, Failure::InTheCall, Failure::InTheFuture] {
        let world = world();
        let mut service = world.around(service_fn(move |_: LambdaInvocation| {
            assert!(!matches!(failure, Failure::InTheCall), "a panic on purpose");
            async move {
                assert!(!matches!(failure, Failure::InTheFuture), "a panic on purpose");
                Err("no Runtime API".into())
            }
        }));
        service.call(invocation(0)).await.unwrap();
        assert_eq!(world.counted(), 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_flush_is_given_up_half_a_second_before_the_deadline() {
    let world = world();
    world.store.set_down(0, Some(Fault::Mute));
    world.store.set_down(1, Some(Fault::Mute));
    let deadline = world.time.clock().now().epoch_millis() + 1_500;
    let started = std::time::Instant::now();
    let mut service = world.around(service_fn(|_: LambdaInvocation| async { Ok(()) }));
    service.call(invocation(deadline)).await.unwrap();
    assert!((1_000..1_400).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    world.store.set_down(0, None);
    world.store.set_down(1, None);
    world.time.advance(std::time::Duration::from_secs(1));
    service.call(invocation(0)).await.unwrap();
    assert_eq!(world.counted(), 1, "what was given up is kept");
}

#[test]
fn a_flush_ends_half_a_second_before_the_deadline_and_the_emulators_in_1970_means_none() {
    let (now, ms) = (ManualClock::new().clock().now(), Duration::from_millis);
    for (left, budget) in [(3_000, ms(2_500)), (60_000, LONGEST_FLUSH), (400, Duration::ZERO)] {
        assert_eq!(flush_budget(now.epoch_millis() + left, now), budget, "{left} ms left");
    }
    assert_eq!(flush_budget(600_000, now), LONGEST_FLUSH);
}
