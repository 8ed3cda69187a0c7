//! What a collector gets: a small one of ours, over HTTP.

use lambda_runtime::tower::Layer as _;
use lambda_runtime::{Context, Error, LambdaInvocation, Service, service_fn};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use test_support::RedisServer;
use tracing_subscriber::layer::SubscriberExt;
use visits_core::config::Config;
use visits_core::flusher::{Flusher, Limits};
use visits_core::lambda::{AfterResponse, invocations};
use visits_core::page::PageId;
use visits_core::store::redis::RedisStore;
use visits_core::telemetry::traces;

/// The trace that Lambda says the invocation is in.
const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// The same as 16 bytes.
const TRACE: [u8; 16] =
    [0x57, 0x59, 0xe9, 0x88, 0xbd, 0x86, 0x2e, 0x3f, 0xe1, 0xbe, 0x46, 0xa9, 0x94, 0x27, 0x27, 0x93];

/// A collector that takes everything: its URL, and the requests' paths and bodies.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().to_ascii_lowercase().strip_prefix("content-length:") {
                    Some(value) => length = value.trim().parse().unwrap(),
                    None if line.trim_end().is_empty() => break,
                    None => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            sender.send((first, body)).unwrap();
        }
    });
    (url, receiver)
}

fn holds(body: &[u8], part: &[u8]) -> usize {
    body.windows(part.len()).filter(|window| *window == part).count()
}

#[derive(Clone)]
struct Flush(std::sync::Arc<Flusher<RedisStore>>);

impl AfterResponse for Flush {
    async fn run(self, _: u64) {
        self.0.flush_if_due(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_an_invocation_its_flush_and_its_calls_in_lambdas_trace() {
    let (url, requests) = collector();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(traces::layer(Some(&url)).unwrap()));
    let redis = RedisServer::start();
    let endpoints = format!("only={}", redis.url());
    let config = Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap();
    let store = std::sync::Arc::new(RedisStore::new(&config).unwrap());
    let flusher = std::sync::Arc::new(Flusher::new(store, config.ring(), config.clock(), Limits::from(&config)));
    flusher.record(PageId::from_decoded("home").unwrap()).unwrap();

    let answer = service_fn(|_: LambdaInvocation| async { Ok::<(), Error>(()) });
    let mut service = invocations(Flush(flusher)).layer(answer);
    let mut context = Context::default();
    context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
    context.xray_trace_id = Some(HEADER.to_owned());
    let parts = http::Response::new(()).into_parts().0;
    service.call(LambdaInvocation { parts, body: Vec::new().into(), context }).await.unwrap();

    // Sent before the invocation has ended.
    let (path, body) = requests.try_recv().unwrap();
    assert!(path.starts_with("POST /v1/traces "), "{path}");
    for part in ["invocation", "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "flush", "interval", "redis", "only"] {
        assert!(holds(&body, part.as_bytes()) > 0, "{part}: {}", String::from_utf8_lossy(&body));
    }
    // The invocation's, the flush's, and at least the flush's one call.
    assert!(holds(&body, &TRACE) >= 3, "{}", String::from_utf8_lossy(&body));
}
