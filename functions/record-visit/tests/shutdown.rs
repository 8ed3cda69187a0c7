//! The program's end with Lambda's Extensions API, and without it, as under some emulators.

use lambda_simulator::{EnvironmentId, ExtensionsApi, FunctionConfig, Simulator, http_api_event};
use redis::Commands;
use serde_json::Value;
use std::time::{Duration, Instant};
use test_support::RedisServer;

/// Its settings: one shard, and an interval that is never over.
fn settings(server: &RedisServer) -> Vec<(String, String)> {
    let env = [
        ("REDIS_ENDPOINTS", format!("a={}", server.url())),
        ("VISITS_FLUSH_INTERVAL", "10m".to_owned()),
        ("VISITS_UNREGISTERED_INTERVAL", "100ms".to_owned()),
    ];
    env.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

const FUNCTION: &str = "record-visit";
const PATIENCE: Duration = Duration::from_mins(1);

fn function(server: &RedisServer) -> FunctionConfig {
    let program = env!("CARGO_BIN_EXE_record-visit");
    let timeout = Duration::from_secs(20);
    FunctionConfig { env: settings(server), timeout, init_limit: PATIENCE, ..FunctionConfig::new(FUNCTION, program) }
}

/// Sends a visit and waits until its environment is idle again.
async fn visit(lambda: &Simulator) -> EnvironmentId {
    let event = http_api_event("POST", "/visit/home").to_string();
    let answer = lambda.invoke(FUNCTION, event).await.unwrap();
    let status = serde_json::from_slice::<Value>(&answer.payload).unwrap()["statusCode"].clone();
    assert_eq!(status, 200, "{}", lambda.output(answer.environment));
    assert!(lambda.settled(FUNCTION, PATIENCE).await);
    answer.environment
}

fn counted(server: &RedisServer) -> u64 {
    server.connect().hget("visits:{a}:page:home", "total").unwrap_or(0)
}

#[tokio::test]
async fn with_an_extension_sigterm_brings_what_is_in_memory() {
    let (lambda, server) = (Simulator::start().unwrap(), RedisServer::start());
    lambda.deploy(function(&server)).unwrap();
    let environment = visit(&lambda).await;
    visit(&lambda).await;
    assert_eq!(counted(&server), 1, "the second visit waits in memory");
    lambda.reap(environment).await.unwrap();
    assert_eq!(counted(&server), 2);
    assert!(!lambda.output(environment).contains("no extension is registered"));
}

#[tokio::test]
async fn without_extensions_it_starts_warns_once_and_flushes_sooner() {
    let faults = [
        ExtensionsApi::Refuses(404),
        ExtensionsApi::Refuses(403),
        ExtensionsApi::Refuses(500),
        ExtensionsApi::HangsUp,
        ExtensionsApi::IsSilent,
    ];
    for extensions in faults {
        let (lambda, server) = (Simulator::start().unwrap(), RedisServer::start());
        let config = FunctionConfig { extensions, ..function(&server) };
        lambda.deploy(config).unwrap();
        let (began, mut environment) = (Instant::now(), visit(&lambda).await);
        // The first visit goes out at once; with the interval of ten minutes no other one would.
        while counted(&server) < 3 {
            assert!(began.elapsed() < PATIENCE, "{extensions:?}: {} counted", counted(&server));
            environment = visit(&lambda).await;
        }
        let log = lambda.output(environment);
        assert_eq!(log.matches("no extension is registered").count(), 1, "{extensions:?}: {log}");
    }
}
