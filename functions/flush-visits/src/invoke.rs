//! Reaching `record-visit`'s environments through Lambda's Invoke API.

#[cfg(test)]
mod tests;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use futures_util::future::join_all;
use std::time::Duration;
use visits_core::credentials::sdk_settings;
use visits_core::report::FlushReport;
use visits_core::sweep::{Environments, FlushOrder, InvokeError};

/// Longest wait for one invocation: a flush of at most 5 s and a hold of at most 2 s, with a cold start.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The function whose environments are swept.
pub(crate) struct RecordFunction {
    client: Client,
    name: String,
}

impl RecordFunction {
    /// The function with this name or ARN, in this account. Nothing is sent yet.
    pub(crate) async fn new(name: &str) -> Self {
        // The next round is the retry, and it is given to whichever environment is idle then.
        Self { client: Client::new(&sdk_settings(INVOKE_TIMEOUT).load().await), name: name.to_owned() }
    }
}

impl Environments for RecordFunction {
    async fn prepare(&self, count: usize) {
        // A dry run opens a connection and starts nothing. (The local emulator does not know it: there it
        // is one more flush.)
        let dry_runs = (0..count).map(|_| {
            let call = self.client.invoke().function_name(&self.name).invocation_type(InvocationType::DryRun);
            call.payload(Blob::new(FlushOrder::default().event())).send()
        });
        join_all(dry_runs).await;
    }

    async fn flush(&self, order: FlushOrder) -> Result<FlushReport, InvokeError> {
        let call = self.client.invoke().function_name(&self.name).payload(Blob::new(order.event()));
        let answer = call.send().await.map_err(|error| InvokeError(DisplayErrorContext(error).to_string()))?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        if let Some(kind) = answer.function_error() {
            return Err(InvokeError(format!("{kind} error: {}", String::from_utf8_lossy(payload))));
        }
        serde_json::from_slice(payload)
            .map_err(|error| InvokeError(format!("its answer is not a flush report: {error}")))
    }
}
