//! Requests as each front end hands them over, made of AWS's own sample events.

use crate::http::{Event, Reply, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::error::Error;
use test_support::hostile;
use url::form_urlencoded;

/// AWS's sample of a schedule's event.
pub const SCHEDULE: &str = include_str!("../../tests/fixtures/aws/example-eventbridge-schedule.json");

/// A request to an HTTP API, as its event.
#[derive(Clone, Debug)]
pub struct Call(pub Value);

impl Call {
    /// Makes a request for a target, which is percent-encoded as clients send it.
    pub fn new(method: &str, target: &str) -> Self {
        Self(FrontEnd::HttpApi.event(method, target))
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = json!(value);
        self
    }

    /// Sets headers.
    #[must_use]
    pub fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers.iter().fold(self, |call, (name, value)| call.header(name, value))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.0["body"] = json!(body);
        self
    }

    /// Sets a member of `requestContext`, by JSON pointer.
    #[must_use]
    pub fn context(mut self, member: &str, value: &str) -> Self {
        *self.0["requestContext"].pointer_mut(member).expect("it is in the sample") = json!(value);
        self
    }

    /// Returns the event as the runtime reads it.
    pub fn event(&self) -> Event {
        serde_json::from_str(&self.0.to_string()).expect("it is JSON")
    }
}

/// Returns an answer to a client.
pub fn response(reply: Reply) -> Response {
    match reply {
        Reply::Http(response) => response,
        Reply::Direct(value) => panic!("{value} is for no client"),
    }
}

/// Returns the body, which is JSON.
pub fn body(response: &Response) -> Value {
    serde_json::from_str(response.body()).unwrap_or_else(|error| panic!("{error}: {}", response.body()))
}

/// Returns the status and, of a problem, its kind.
pub fn outcome(response: &Response) -> (u16, String) {
    let is_problem = response.header("content-type") == Some("application/problem+json") && !response.body().is_empty();
    let kind = if is_problem { body(response)["type"].as_str().unwrap_or_default().to_owned() } else { String::new() };
    (response.status().as_u16(), kind.trim_start_matches("urn:visits:problem:").to_owned())
}

/// Checks that any event, made of `samples` and AWS's own, gets no panic and, by its content alone, no 5xx, and an error that says
/// `accepted` only if it comes from no front end. `check` sees each answer.
pub fn any_event_gets_a_right_answer(
    samples: &[&str],
    accepted: &str,
    handle: impl AsyncFn(Event) -> Result<Reply, Box<dyn Error + Send + Sync>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let samples = [samples, &[SCHEDULE], &FrontEnd::ALL.map(FrontEnd::sample)].concat();
    hostile::check(&samples, |event| {
        // What is no JSON is answered by the runtime, and never seen by the handler.
        let Ok(event) = serde_json::from_str::<Event>(event) else { return };
        let direct = matches!(event, Event::Direct(_));
        match runtime.block_on(handle(event)) {
            Ok(Reply::Direct(_)) => assert!(direct),
            Err(error) => assert!(direct && error.to_string().contains(accepted), "{error}"),
            Ok(Reply::Http(answer)) => {
                let status = answer.status().as_u16();
                assert!(!direct && [200, 204, 304, 308, 400, 401, 403, 404, 405, 413].contains(&status), "{status}");
                // Of HEAD.
                let without_body = answer.header("content-length").is_some() && answer.body().is_empty();
                assert!(status < 400 || without_body || body(&answer)["status"] == status, "{}", answer.body());
            }
        }
    });
}

/// A front end of a function, which has its own shape of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontEnd {
    /// An API Gateway HTTP API with payload version 2.0.
    HttpApi,
    /// An HTTP API with payload version 1.0.
    HttpApiVersion1,
    /// A function URL.
    FunctionUrl,
    /// A REST API.
    RestApi,
    /// An Application Load Balancer.
    LoadBalancer,
    /// An Application Load Balancer whose target group has multi-value headers.
    LoadBalancerMultiValue,
}

impl FrontEnd {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HttpApi,
        Self::HttpApiVersion1,
        Self::FunctionUrl,
        Self::RestApi,
        Self::LoadBalancer,
        Self::LoadBalancerMultiValue,
    ];

    /// AWS's sample of an event, as it is.
    pub fn sample(self) -> &'static str {
        match self {
            Self::HttpApi => include_str!("../../tests/fixtures/aws/example-apigw-v2-request-no-authorizer.json"),
            Self::HttpApiVersion1 => include_str!("../../tests/fixtures/aws/example-apigw-sam-rest-request.json"),
            Self::FunctionUrl => include_str!("../../tests/fixtures/aws/lambda_function_url_request.json"),
            Self::RestApi => include_str!("../../tests/fixtures/aws/example-apigw-request.json"),
            Self::LoadBalancer => {
                include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-headers-only.json")
            }
            Self::LoadBalancerMultiValue => {
                include_str!("../../tests/fixtures/aws/example-alb-lambda-target-request-multivalue-headers.json")
            }
        }
    }

    /// Tells whether the event is of payload version 2.0.
    pub fn is_version2(self) -> bool {
        matches!(self, Self::HttpApi | Self::FunctionUrl)
    }

    /// Tells whether headers and parameters have lists of values.
    pub fn has_multi_value(self) -> bool {
        matches!(self, Self::HttpApiVersion1 | Self::RestApi | Self::LoadBalancerMultiValue)
    }

    /// Returns the event of a request for a target, which is percent-encoded as clients send it.
    pub fn event(self, method: &str, target: &str) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let path = if matches!(self, Self::HttpApi | Self::HttpApiVersion1) { &*decoded } else { path };
        let mut event: Value = serde_json::from_str(self.sample()).expect("AWS's sample");
        let headers = if self.has_multi_value() { "multiValueHeaders" } else { "headers" };
        event
            .as_object_mut()
            .expect("it is an object")
            .retain(|name, _| !["headers", "multiValueHeaders"].contains(&name.as_str()));
        self.add(&mut event[headers]["host"], "visits.example.org");
        (event["body"], event["isBase64Encoded"]) = (Value::Null, json!(false));
        if self.is_version2() {
            event["rawPath"] = json!(path);
            event["rawQueryString"] = json!(query);
            event["cookies"] = json!([]);
            event["requestContext"]["http"]["method"] = json!(method);
            event["requestContext"]["http"]["path"] = json!(path);
            return event;
        }
        event["path"] = json!(path);
        event["httpMethod"] = json!(method);
        event["queryStringParameters"] = json!({});
        if matches!(self, Self::HttpApiVersion1 | Self::RestApi) {
            event["requestContext"]["httpMethod"] = json!(method);
        }
        let as_sent =
            query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into()));
        let pairs: Vec<_> = match self {
            Self::LoadBalancer | Self::LoadBalancerMultiValue => as_sent.collect(),
            _ => form_urlencoded::parse(query.as_bytes()).collect(),
        };
        let all = if self.has_multi_value() { "multiValueQueryStringParameters" } else { "queryStringParameters" };
        event[all] = json!({});
        for (name, value) in pairs {
            self.add(&mut event[all][&*name], &value);
        }
        event
    }

    /// Adds a header, which the event may have already.
    pub fn add_header(self, event: &mut Value, name: &str, value: &str) {
        let all = if self.has_multi_value() { "multiValueHeaders" } else { "headers" };
        self.add(&mut event[all][name], value);
    }

    fn add(self, member: &mut Value, value: &str) {
        match member {
            Value::Array(values) => values.push(json!(value)),
            _ if self.has_multi_value() => *member = json!([value]),
            _ => *member = json!(value),
        }
    }
}
