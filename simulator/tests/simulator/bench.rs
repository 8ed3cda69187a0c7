//! A simulator with the probe in it, and what the tests ask of both.

use lambda_simulator::{EnvironmentId, EnvironmentInfo, EnvironmentState, FunctionConfig, Invocation, Simulator};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use test_support::wait_for;

/// Longest wait for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The name under which the probe is deployed.
pub(crate) const PROBE: &str = "probe";

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    folder: TempDir,
}

impl Bench {
    /// A simulator with the probe deployed as `edit` wants it.
    pub(crate) fn new(edit: impl FnOnce(&mut FunctionConfig)) -> Self {
        let bench = Self { simulator: Simulator::start().unwrap(), folder: TempDir::new().unwrap() };
        // Long enough that no test meets it by accident on a busy machine.
        let mut config = FunctionConfig {
            timeout: PATIENCE * 2,
            init_limit: PATIENCE,
            ..FunctionConfig::new(PROBE, probe_program())
        };
        edit(&mut config);
        bench.simulator.deploy(config).unwrap();
        bench
    }

    /// A simulator with the probe, with these environment variables.
    pub(crate) fn with_variables(variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::new(|config| config.env = owned)
    }

    /// The path of a file that does not exist yet.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Invokes the probe and waits for its answer.
    pub(crate) async fn invoke(&self, event: Value) -> Invocation {
        self.simulator.invoke(PROBE, event.to_string()).await.unwrap()
    }

    /// Waits until each environment is frozen or dead.
    pub(crate) async fn settle(&self) {
        assert!(self.simulator.settled(PROBE, PATIENCE).await);
    }

    /// Invokes the probe and waits until its environment is frozen again.
    pub(crate) async fn invoke_and_settle(&self, event: Value) -> Invocation {
        let invocation = self.invoke(event).await;
        self.settle().await;
        invocation
    }

    pub(crate) fn info(&self, id: EnvironmentId) -> EnvironmentInfo {
        self.simulator.environment(id).unwrap()
    }

    pub(crate) fn state(&self, id: EnvironmentId) -> EnvironmentState {
        self.info(id).state
    }

    /// Waits until so many events have been delivered, over all environments.
    pub(crate) fn wait_for_deliveries(&self, count: u64) {
        let delivered = || self.simulator.environments().iter().map(|environment| environment.invocations).sum::<u64>();
        until("the events are delivered", || delivered() >= count);
    }
}

/// Waits until `condition` holds; fails the test if it does not.
pub(crate) fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_for(PATIENCE, condition), "{what}: not within {PATIENCE:?}");
}

/// Lets the process that waits for this file go on.
pub(crate) fn open(gate: &str) {
    fs::write(gate, "").unwrap();
}

/// Returns the probe's answer.
pub(crate) fn answer(invocation: &Invocation) -> Value {
    assert_eq!(invocation.function_error, None, "{}", String::from_utf8_lossy(&invocation.payload));
    serde_json::from_slice(&invocation.payload).unwrap()
}

/// The error that an invocation ended with.
pub(crate) fn error(invocation: &Invocation) -> Value {
    assert_eq!(invocation.function_error.as_deref(), Some("Unhandled"));
    serde_json::from_slice(&invocation.payload).unwrap()
}

/// An event that is answered at once.
pub(crate) fn nothing() -> Value {
    json!({})
}

/// `cargo test` builds the examples with the tests, into a folder beside theirs; `cargo test --test …` does not.
fn probe_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(|folder| folder.parent()).unwrap().join("examples/probe");
    assert!(program.is_file(), "no {}: `cargo build -p lambda-simulator --examples` builds it", program.display());
    program
}
