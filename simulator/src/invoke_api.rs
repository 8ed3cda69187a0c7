//! The Invoke operation of the Lambda API (2015-03-31), for the AWS SDK and everything else that speaks HTTP.

use crate::function::Function;
use crate::functions::{Functions, check};
use crate::http::{Answer, answer, body, header, json};
use crate::{Invocation, InvokeError};
use http::{Method, Request, StatusCode};
use hyper::body::{Bytes, Incoming};
use percent_encoding::percent_decode_str;
use serde_json::json as value;
use std::sync::Arc;

/// Answers one call.
pub(crate) async fn handle(functions: Arc<Functions>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), segments.as_slice()) {
        (&Method::POST, ["2015-03-31", "functions", name, "invocations"]) => {
            let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
            invoke(&functions, &name, request).await.unwrap_or_else(|refusal| refusal)
        }
        _ => error(StatusCode::NOT_FOUND, "UnknownOperationException", &value!({ "message": path })),
    }
}

async fn invoke(functions: &Functions, name: &str, request: Request<Incoming>) -> Result<Answer, Answer> {
    let kind = header(request.headers(), "x-amz-invocation-type").to_owned();
    let function = functions.find(name).map_err(|error| refusal(&error))?;
    let payload = body(request).await?;
    check(&payload).map_err(|error| refusal(&error))?;
    match kind.as_str() {
        "" | "RequestResponse" => synchronous(function, payload).await,
        "Event" => {
            tokio::spawn(function.invoke_event(payload));
            Ok(answer(StatusCode::ACCEPTED, &[], ""))
        }
        "DryRun" => Ok(answer(StatusCode::NO_CONTENT, &[], "")),
        other => {
            let message = format!("invocation type {other} is not RequestResponse, Event or DryRun");
            let body = value!({ "Type": "User", "message": message });
            Err(error(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &body))
        }
    }
}

/// In a task of its own: as on Lambda, a client that goes away does not end what it began.
async fn synchronous(function: Arc<Function>, payload: Bytes) -> Result<Answer, Answer> {
    let task = tokio::spawn(function.invoke(payload));
    let outcome = task.await.unwrap_or(Err(InvokeError::Stopped));
    let Invocation { request_id, payload, function_error, .. } = outcome.map_err(|error| refusal(&error))?;
    let mut headers = vec![
        ("content-type", "application/json"),
        ("x-amz-executed-version", "$LATEST"),
        ("x-amzn-requestid", request_id.as_str()),
    ];
    headers.extend(function_error.iter().map(|error| ("x-amz-function-error", error.as_str())));
    Ok(answer(StatusCode::OK, &headers, payload))
}

fn refusal(reason: &InvokeError) -> Answer {
    let message = reason.to_string();
    match reason {
        InvokeError::NotFound(_) => {
            let body = value!({ "Type": "User", "Message": message });
            error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &body)
        }
        InvokeError::Throttled => {
            let limit = "ReservedFunctionConcurrentInvocationLimitExceeded";
            let body = value!({ "Reason": limit, "Type": "User", "message": message });
            error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &body)
        }
        InvokeError::NotJson(_) => {
            let body = value!({ "Type": "User", "message": message });
            error(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &body)
        }
        InvokeError::Stopped => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &value!({ "Message": message }))
        }
    }
}

fn error(status: StatusCode, kind: &str, body: &serde_json::Value) -> Answer {
    let mut answer = json(status, body);
    if let Ok(kind) = kind.parse() {
        answer.headers_mut().insert("x-amzn-errortype", kind);
    }
    answer
}
