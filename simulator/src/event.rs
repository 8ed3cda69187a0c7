//! Events as their sources send them.

use crate::launch::{ACCOUNT, REGION};
use crate::time::{epoch_millis, request_id};
use serde_json::{Value, json};
use std::time::Duration;

/// The event (payload version 2.0) that an API Gateway HTTP API makes of a request with this method and this
/// path. The path is given, and handed over, as HTTP APIs do it: decoded. No query, no body.
///
/// ```
/// let event = lambda_simulator::http_api_event("POST", "/visit/über uns");
/// assert_eq!(event["requestContext"]["http"]["path"], "/visit/über uns");
/// ```
pub fn http_api_event(method: &str, path: &str) -> Value {
    let domain = format!("simulated.execute-api.{REGION}.amazonaws.com");
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "accept": "*/*", "content-length": "0", "host": domain, "user-agent": "lambda-simulator" },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "simulated",
            "domainName": domain,
            "domainPrefix": "simulated",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "lambda-simulator",
            },
            "requestId": request_id(),
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": epoch_millis(Duration::ZERO),
        },
        "isBase64Encoded": false,
    })
}
