//! Imports into real Redis servers.

use crate::world::{config, log, march, run, truth};
use redis::{Commands, Connection};
use std::collections::BTreeMap;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::config::Config;
use visits_core::store::redis::RedisStore;
use visits_import::{ImportError, Outcome, Progress};

fn endpoints(servers: &[&RedisServer], weights: &[u8]) -> Config {
    let shard =
        |(name, (server, weight)): (char, (&&RedisServer, &u8))| format!("{name}={};weight={weight}", server.url());
    config(&('a'..).zip(servers.iter().zip(weights)).map(shard).collect::<Vec<_>>().join(","))
}

/// All counts, of all shards, by page.
fn counts(servers: &mut [Connection]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for redis in servers {
        let keys: Vec<String> = redis.keys("visits:{*}:page:*").unwrap();
        for key in keys {
            let total: u64 = redis.hget(&key, "total").unwrap();
            *sums.entry(key.split_once(":page:").unwrap().1.to_owned()).or_insert(0) += total;
        }
    }
    sums
}

fn expected(input: &[u8]) -> BTreeMap<String, u64> {
    truth(&march(), input).into_iter().map(|(page, visits)| (page.to_string(), visits)).collect()
}

/// Kills the attempt when it has sent `batches`.
async fn killed_at(config: &Config, input: &[u8], batches: u64) -> Option<Result<Outcome, ImportError>> {
    let store = RedisStore::new(config).unwrap();
    let (kill, killed) = tokio::sync::oneshot::channel::<()>();
    let mut kill = Some(kill);
    let mut progress = |progress: &Progress| {
        if progress.batches_sent >= batches {
            drop(kill.take());
        }
    };
    let (what, mut input) = (march(), std::io::Cursor::new(input));
    tokio::select! {
        biased;
        _ = killed => None,
        outcome = visits_import::import(&store, config, &what, &mut input, &mut progress) => Some(outcome),
    }
}

#[tokio::test]
async fn killed_again_and_again_with_other_rings_it_ends_exact() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let servers: Vec<&RedisServer> = servers.iter().collect();
    let input = log(3000, 300, 7);
    let rings: [&[u8]; 4] = [&[1, 1, 0], &[1, 2, 3], &[0, 0, 1], &[0, 1, 16]];
    for (ring, batches) in rings.into_iter().zip([1, 5, 20, 40]) {
        assert!(killed_at(&endpoints(&servers, ring), &input, batches).await.is_none());
    }
    let last = endpoints(&servers, &[1, 0, 1]);
    let outcome = run(&RedisStore::new(&last).unwrap(), &last, &march(), &input).await.unwrap();
    let Outcome::Imported(imported) = outcome else { panic!("{outcome:?}") };
    assert!(imported.batches_found >= 40 && imported.batches_sent > 0, "{imported:?}");
    let mut connections: Vec<Connection> = servers.iter().map(|server| server.connect()).collect();
    assert_eq!(counts(&mut connections), expected(&input));
    let again = run(&RedisStore::new(&last).unwrap(), &last, &march(), &input).await.unwrap();
    assert_eq!((again, counts(&mut connections)), (Outcome::AlreadyImported, expected(&input)));
}

#[tokio::test]
async fn the_record_and_the_set_are_kept_as_documented() {
    let server = RedisServer::start();
    let config = endpoints(&[&server], &[1]);
    let store = RedisStore::new(&config).unwrap();
    run(&store, &config, &march(), &log(50, 10, 7)).await.unwrap();
    let mut redis = server.connect();
    let record: String = redis.hget("visits:{a}:imports", "march").unwrap();
    assert!(record.contains(r#""ring":[["a",1]],"done":true"#), "{record}");
    let writer = march().id.writer(&config.namespace).to_string();
    let fields: BTreeMap<String, String> = redis.hgetall(format!("visits:{{a}}:applied:{writer}")).unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["floor", "visits"], "one field for all batches");
    let until: f64 = redis.zscore("visits:{a}:sets", &writer).unwrap();
    assert!(until > 999_999_999_999_999.0, "{until}");
    assert_eq!(redis.exists("visits:{a}:writers"), Ok(false));
    assert_eq!(redis.ttl("visits:{a}:imports"), Ok(-1));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_the_import() {
    let server = RedisServer::start();
    let config = endpoints(&[&server], &[1]);
    let _: () = server.connect().hset("visits:{a}:imports", "march", "{\"format\":9}").unwrap();
    let error = run(&RedisStore::new(&config).unwrap(), &config, &march(), &log(50, 10, 7)).await.unwrap_err();
    assert!(error.to_string().contains("bad record of march: its format is 9; 1 is accepted"), "{error}");
    assert!(counts(&mut [server.connect()]).is_empty());
}

#[tokio::test]
async fn a_server_that_loses_its_newest_data_gets_it_again() {
    let (kept, mut losing) = (RedisServer::start(), RedisServer::start());
    let input = log(3000, 300, 7);
    let config = endpoints(&[&kept, &losing], &[1, 1]);
    assert!(killed_at(&config, &input, 30).await.is_none());
    losing.kill();
    losing.restart();
    let mut what = march();
    what.patience.first_pause = Duration::from_millis(50);
    run(&RedisStore::new(&config).unwrap(), &config, &what, &input).await.unwrap();
    assert_eq!(counts(&mut [kept.connect(), losing.connect()]), expected(&input));
    // Even after it was told that all is done.
    losing.kill();
    losing.restart();
    let outcome = run(&RedisStore::new(&config).unwrap(), &config, &what, &input).await.unwrap();
    assert!(matches!(outcome, Outcome::Imported(_)));
    assert_eq!(counts(&mut [kept.connect(), losing.connect()]), expected(&input));
}
