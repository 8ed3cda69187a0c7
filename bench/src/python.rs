//! The Python counter of `bench/python`: how Lambda would start it.

use std::path::{Path, PathBuf};

/// A command and its variables, for `Environment::start`.
pub struct Fixture {
    /// The program and its arguments.
    pub command: Vec<PathBuf>,
    /// What is set on top of what Lambda sets.
    pub env: Vec<(&'static str, String)>,
}

impl Fixture {
    /// The command as `Environment::start` takes it.
    pub fn command(&self) -> Vec<&Path> {
        self.command.iter().map(PathBuf::as_path).collect()
    }
}

/// The Python counter over the servers of `REDIS_ENDPOINTS` (`name=url,...`, without weights), which flushes when
/// `flush_seconds` have passed. Its first start compiles `app.py`: start it once before its start is measured.
///
/// # Panics
/// If its Python environment is missing.
pub fn fixture(redis_endpoints: &str, flush_seconds: u64) -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace");
    let python = root.join(".tools/bench/bin/python");
    assert!(python.exists(), "{} is missing: scripts/bench makes it", python.display());
    let task = root.join("bench/python").to_string_lossy().into_owned();
    Fixture {
        command: [python].into_iter().chain(["-m", "awslambdaric", "app.handler"].map(PathBuf::from)).collect(),
        env: vec![
            ("PYTHONPATH", task.clone()),
            ("LAMBDA_TASK_ROOT", task),
            ("_HANDLER", "app.handler".into()),
            // Of this name the runtime client takes how it polls and encodes; the oldest that the fixture runs on.
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11".into()),
            ("REDIS_ENDPOINTS", redis_endpoints.into()),
            ("VISITS_FLUSH_INTERVAL", flush_seconds.to_string()),
        ],
    }
}
