//! Log lines of the real program as Lambda runs it, at the finest levels that can be asked for.

use lambda_simulator::{FunctionConfig, Simulator, http_api_event};
use serde_json::{Value, json};
use std::time::Duration;

const TOKEN: &str = "s3cret-t0ken-of-the-owner";
const ADDRESS: &str = "192.0.2.99";
const AGENT: &str = "An-agent-that-is-seldom/7";

/// An event with the caller's address, user agent and this header.
fn event(method: &str, path: &str, (name, value): (&str, &str)) -> Value {
    let mut event = http_api_event(method, path);
    event["requestContext"]["http"]["sourceIp"] = json!(ADDRESS);
    event["headers"] = json!({"user-agent": AGENT, name: value});
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_level_shows_a_token_a_cookie_or_a_callers_address() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, TOKEN).unwrap();
    for (level, format) in [
        ("trace", "Text"),
        ("trace", "JSON"),
        ("info,lambda_runtime::layers=trace", "JSON"),
        ("info,lambda_runtime::layers::api_response=trace,hyper=trace,tower=trace", "Text"),
    ] {
        let simulator = Simulator::start().unwrap();
        let env = [
            ("RUST_LOG", level.to_owned()),
            ("AWS_LAMBDA_LOG_FORMAT", format.to_owned()),
            ("VISITS_OWNER_TOKEN", format!("file:{}", token.path().display())),
            // Nothing listens there, so there is something to log.
            ("REDIS_ENDPOINTS", "a=redis://127.0.0.1:1".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into();
        let config = FunctionConfig { env, ..FunctionConfig::new("dashboard", env!("CARGO_BIN_EXE_dashboard")) };
        simulator.deploy(FunctionConfig { timeout: Duration::from_secs(10), ..config }).unwrap();
        let ask = async |event: Value| {
            let invocation = simulator.invoke("dashboard", event.to_string()).await.unwrap();
            assert!(simulator.settled("dashboard", Duration::from_secs(10)).await);
            let answer: Value = serde_json::from_slice(&invocation.payload).unwrap();
            (invocation.environment, answer)
        };

        let mut login = event("POST", "/session", ("accept", "*/*"));
        login["body"] = json!(json!({ "token": TOKEN }).to_string());
        let (environment, opened) = ask(login).await;
        let cookie = opened["cookies"][0].as_str().unwrap().split(';').next().unwrap().to_owned();
        let bearer = format!("Bearer {TOKEN}");
        for header in
            [("cookie", cookie.as_str()), ("authorization", &bearer), ("authorization", "Bearer guessed-guess")]
        {
            ask(event("GET", "/summary", header)).await;
        }

        let output = simulator.output(environment);
        assert!(output.contains("redis") || output.contains("shard"), "nothing is logged: {output}");
        let session = cookie.split_once('=').unwrap().1;
        for secret in [TOKEN, session, "guessed-guess", ADDRESS, AGENT] {
            assert!(!output.contains(secret), "at {level} {secret} is shown: {output}");
        }
    }
}
