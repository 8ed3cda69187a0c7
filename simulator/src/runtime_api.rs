//! The Runtime API (2018-06-01) and the Extensions API (2020-01-01) of one environment.

use crate::function::Function;
use crate::http::{Answer as HttpAnswer, answer, body, hang_up, header, json};
use crate::lifecycle::trace_id;
use crate::outcome::Answer;
use crate::slots::{Delivery, Refused};
use crate::{EnvironmentId, ExtensionsApi};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json as value};
use std::sync::Arc;

/// Answers one call of the environment's runtime or extensions.
pub(crate) async fn handle(function: Arc<Function>, id: EnvironmentId, request: Request<Incoming>) -> HttpAnswer {
    Call { function, id }.answer(request).await.unwrap_or_else(|refusal| refusal)
}

struct Call {
    function: Arc<Function>,
    id: EnvironmentId,
}

impl Call {
    async fn answer(&self, request: Request<Incoming>) -> Result<HttpAnswer, HttpAnswer> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ["2020-01-01", "extension", ..] = segments.as_slice() {
            self.spoil(&path).await?;
        }
        match (request.method(), segments.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", event, kind @ ("response" | "error")]) => {
                self.outcome(event, *kind == "error", request).await
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
                let error = body(request).await?;
                self.function.fail_start(self.id, error).map_err(refusal)?;
                Ok(accepted())
            }
            (&Method::POST, ["2020-01-01", "extension", "register"]) => self.register(request).await,
            (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => self.next_for_extension(&request).await,
            // The process ends itself after it; how is all that counts.
            (&Method::POST, ["2020-01-01", "extension", "init" | "exit", "error"]) => Ok(accepted()),
            _ => Err(error(StatusCode::NOT_FOUND, "ResourceNotFound", &path)),
        }
    }

    /// Refuses a call of the Extensions API, hangs up or never answers, where the function's configuration says so.
    async fn spoil(&self, path: &str) -> Result<(), HttpAnswer> {
        match self.function.config.extensions {
            ExtensionsApi::Works => Ok(()),
            ExtensionsApi::Refuses(status) => {
                Err(error(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), "Extension.Refused", path))
            }
            ExtensionsApi::HangsUp => Err(hang_up()),
            ExtensionsApi::IsSilent => std::future::pending().await,
        }
    }

    async fn next(&self) -> Result<HttpAnswer, HttpAnswer> {
        let delivery = self.function.poll(self.id).map_err(refusal)?;
        let Delivery { request_id, payload, deadline } = delivery.await.map_err(|_| ended())?;
        let headers = [
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", &request_id),
            ("lambda-runtime-deadline-ms", &deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", &self.function.arn()),
            ("lambda-runtime-trace-id", &trace_id(&request_id)),
        ];
        Ok(answer(StatusCode::OK, &headers, payload))
    }

    async fn outcome(&self, event: &str, is_error: bool, request: Request<Incoming>) -> Result<HttpAnswer, HttpAnswer> {
        let payload = body(request).await?;
        let outcome = if is_error { Answer::error(payload) } else { Answer::success(payload) };
        self.function.answer(self.id, event, outcome).map_err(|refused| match refused {
            // As Lambda refuses an answer that comes after the invocation's end.
            Refused::InvalidTransition => error(StatusCode::GONE, "InvalidStateTransition", "the invocation has ended"),
            Refused::UnknownRequest => error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        })?;
        Ok(accepted())
    }

    async fn register(&self, request: Request<Incoming>) -> Result<HttpAnswer, HttpAnswer> {
        let name = header(request.headers(), "lambda-extension-name").to_owned();
        let wants_account = header(request.headers(), "lambda-extension-accept-feature").contains("accountId");
        let wish: Value = serde_json::from_slice(&body(request).await?).unwrap_or_default();
        let events: Vec<&str> = wish["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let identifier = self.function.register(self.id, &name, &events).map_err(refusal)?;
        let mut about = value!({
            "functionName": self.function.config.name,
            "functionVersion": "$LATEST",
            "handler": "bootstrap",
        });
        if wants_account {
            about["accountId"] = crate::launch::ACCOUNT.into();
        }
        let headers = [("content-type", "application/json"), ("lambda-extension-identifier", &identifier)];
        Ok(answer(StatusCode::OK, &headers, about.to_string()))
    }

    async fn next_for_extension(&self, request: &Request<Incoming>) -> Result<HttpAnswer, HttpAnswer> {
        let extension = header(request.headers(), "lambda-extension-identifier");
        let event = self.function.poll_extension(self.id, extension).map_err(refusal)?;
        Ok(json(StatusCode::OK, &event.await.map_err(|_| ended())?))
    }
}

fn accepted() -> HttpAnswer {
    json(StatusCode::ACCEPTED, &value!({ "status": "OK" }))
}

fn ended() -> HttpAnswer {
    error(StatusCode::GONE, "EnvironmentEnded", "the environment has ended")
}

fn refusal(refused: Refused) -> HttpAnswer {
    let kind = match refused {
        Refused::UnknownRequest => "UnknownExtension",
        Refused::InvalidTransition => "InvalidStateTransition",
    };
    error(StatusCode::FORBIDDEN, kind, "State transition is not allowed")
}

fn error(status: StatusCode, kind: &str, message: &str) -> HttpAnswer {
    json(status, &value!({ "errorType": kind, "errorMessage": message }))
}
