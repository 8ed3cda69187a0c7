//! Requests as each front end hands them over, made of AWS's own sample events.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

/// A front end of a function, which has its own shape of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontEnd {
    /// An API Gateway HTTP API with payload version 2.0.
    HttpApi,
    /// The same with payload version 1.0.
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
