//! Telemetry of the real binaries as Lambda runs them: lines of metrics that add up, and logs that name their
//! invocation.

use chaos::world::{INTERVAL, RECORD, Setup, World};
use lambda_simulator::{EnvironmentId, FunctionConfig, Invocation, Mode, http_api_event};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use test_support::release_program;

const NAMESPACE: &str = "VisitCounter/chaos-1";
const READ: &str = "get-visits";

fn setup(mode: Mode) -> Setup {
    Setup { mode, env: vec![("VISITS_METRICS", NAMESPACE.to_owned())], ..Setup::default() }
}

/// Every line of an environment: each is JSON, but for what the runtime says on standard error as it ends.
fn lines(world: &World, environment: EnvironmentId) -> Vec<Value> {
    let output = world.lambda.output(environment);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    output.lines().filter(|line| !line.starts_with("[runtime] ")).map(parse).collect()
}

/// The lines of metrics of a function's environments, each held against the format.
fn metrics(world: &World, function: &str) -> Vec<Value> {
    let environments = world.lambda.environments().into_iter().filter(|one| one.function == function);
    let lines: Vec<Value> = environments.flat_map(|one| lines(world, one.id)).collect();
    let metrics: Vec<Value> = lines.into_iter().filter(|line| line.get("_aws").is_some()).collect();
    for line in &metrics {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!(NAMESPACE), &json!([[]])), "{line}");
        assert!(line["_aws"]["Timestamp"].as_u64().is_some_and(|millis| millis > 1_600_000_000_000), "{line}");
        for definition in directive["Metrics"].as_array().unwrap() {
            let value = &line[definition["Name"].as_str().unwrap()];
            assert!(value.is_u64() || value.as_array().is_some_and(|values| values.len() <= 100), "{line}");
        }
    }
    metrics
}

fn sum(lines: &[Value], metric: &str) -> u64 {
    lines.iter().filter_map(|line| line[metric].as_u64()).sum()
}

fn request_ids(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line["requestId"].as_str().map(str::to_owned)).collect()
}

async fn invoke(world: &World, function: &str, method: &str, path: &str) -> Invocation {
    world.lambda.invoke(function, http_api_event(method, path).to_string()).await.unwrap()
}

/// Bounds the servers' memory, so that they can say how full they are.
fn bound_memory(world: &World) {
    for shard in 0..2 {
        let mut redis = redis::Client::open(world.servers.proxy(shard).url()).unwrap().get_connection().unwrap();
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1gb").exec(&mut redis).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_lines_of_record_visit_and_flush_visits_together_say_what_was_counted() {
    let world = World::start(&setup(Mode::OnDemand));
    bound_memory(&world);
    for visit in 0..60 {
        world.visit(&format!("page-{}", visit % 7)).await;
        if visit % 20 == 0 {
            tokio::time::sleep(INTERVAL).await;
        }
    }
    world.flush_all().await.unwrap();
    for visit in 0..10 {
        world.visit(&format!("page-{visit}")).await;
    }
    // SIGTERM: what is in memory goes out with a line of its own.
    world.come_to_rest().await;
    let acknowledged: u64 = world.ledger.acknowledged().values().sum();
    let record = metrics(&world, RECORD);
    assert_eq!((acknowledged, sum(&record, "Visits"), sum(&record, "VisitsFlushed")), (70, 70, 70));
    assert_eq!(world.servers.counts().pages.values().sum::<u64>(), 70);
    assert_eq!((sum(&record, "VisitsLost"), sum(&record, "DuplicateBatches")), (0, 0));
    assert!(record.iter().any(|line| line["RedisLatency"].is_array() && line["BufferAge"].is_u64()));
    let flush = metrics(&world, "flush-visits");
    assert!(
        !flush.is_empty() && flush.iter().all(|line| line["RedisMemory"].is_u64() && line["ParkedAge"] == 0),
        "{flush:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_visits_tells_hits_and_misses_at_most_once_an_interval() {
    let world = World::start(&setup(Mode::OnDemand));
    let env = [
        ("REDIS_ENDPOINTS", world.servers.endpoints()),
        ("VISITS_METRICS", NAMESPACE.to_owned()),
        ("VISITS_FLUSH_INTERVAL", "1s".to_owned()),
        ("VISITS_CACHE_TTL", "1h".to_owned()),
    ];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    world.lambda.deploy(FunctionConfig { env, ..FunctionConfig::new(READ, release_program(READ)) }).unwrap();
    let began = std::time::Instant::now();
    for _ in 0..50 {
        invoke(&world, READ, "GET", "/visits/home").await;
        // Else the next request may meet another environment.
        assert!(world.lambda.settled(READ, Duration::from_secs(10)).await);
    }
    let intervals = usize::try_from(began.elapsed().as_secs()).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    invoke(&world, READ, "GET", "/visits/home").await;
    assert!(world.lambda.settled(READ, Duration::from_secs(10)).await);
    let told = metrics(&world, READ);
    assert_eq!((sum(&told, "CacheHits"), sum(&told, "CacheMisses")), (50, 1));
    assert!((2..=2 + intervals).contains(&told.len()), "{} lines", told.len());
    assert_eq!(told[0]["RedisLatency"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_an_invocation_names_it_and_so_does_its_flush_after_the_response() {
    let world = World::start(&setup(Mode::OnDemand));
    let first = invoke(&world, RECORD, "POST", "/visit/home").await;
    world.settle().await;
    let told = lines(&world, first.environment);
    let named: Vec<_> = told.iter().map(|line| (line["message"].as_str(), line["requestId"].as_str())).collect();
    let id = Some(first.request_id.as_str());
    assert!(named.contains(&(Some("flushed"), id)) && named.contains(&(None, id)), "{told:?}");
    assert!(told.iter().all(|line| line["requestId"] == first.request_id), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn side_by_side_on_a_managed_instance_no_line_names_another_invocation() {
    let world = World::start(&setup(Mode::ManagedInstances { max_concurrency: 8 }));
    // A direct invocation flushes at once, and logs it.
    let flush = json!({"flush": {"hold_until": 0}}).to_string();
    let pending: Vec<_> = (0..24).map(|_| world.lambda.invoke(RECORD, flush.clone())).collect();
    let mut ids = BTreeSet::new();
    for invocation in pending {
        ids.insert(invocation.await.unwrap().request_id);
    }
    let environments = world.lambda.environments().into_iter().filter(|one| one.function == RECORD);
    let told: Vec<Value> = environments.flat_map(|one| lines(&world, one.id)).collect();
    assert_eq!((ids.len(), request_ids(&told)), (24, ids));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_metrics_are_off_no_line_is_written() {
    let world = World::start(&Setup::default());
    world.visit("home").await;
    world.flush_all().await.unwrap();
    world.come_to_rest().await;
    let told: Vec<Value> = world.lambda.environments().into_iter().flat_map(|one| lines(&world, one.id)).collect();
    assert!(!told.is_empty() && told.iter().all(|line| line.get("_aws").is_none()), "{told:?}");
}
