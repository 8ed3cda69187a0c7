//! The Python counter of `bench/python`: how Lambda would start it.

use crate::subject::Subject;
use std::path::{Path, PathBuf};

/// The Python counter over the servers of `REDIS_ENDPOINTS` (`name=url,...`, without weights), which flushes when
/// `flush_seconds` have passed. Its first start compiles `app.py`: start it once before its start is measured.
///
/// # Panics
/// If its Python environment is missing.
pub fn fixture(redis_endpoints: &str, flush_seconds: u64) -> Subject {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace");
    let python = root.join(".tools/bench/bin/python");
    assert!(python.exists(), "{} is missing: scripts/bench makes it", python.display());
    let task = root.join("bench/python").to_string_lossy().into_owned();
    let command = [python].into_iter().chain(["-m", "awslambdaric", "app.handler"].map(PathBuf::from)).collect();
    Subject::of("Python", command)
        .with("PYTHONPATH", task.clone())
        .with("LAMBDA_TASK_ROOT", task)
        .with("_HANDLER", "app.handler")
        // Of this name the runtime client takes how it polls and encodes; the oldest that the fixture runs on.
        .with("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11")
        .with("REDIS_ENDPOINTS", redis_endpoints)
        .with("VISITS_FLUSH_INTERVAL", flush_seconds.to_string())
}
