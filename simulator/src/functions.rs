//! The deployed functions of a simulator, found by name, by ARN, or by one of their environments.

use crate::function::Function;
use crate::simulator::DeployError;
use crate::sync::lock;
use crate::{EnvironmentId, FunctionConfig, InvokeError};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// The functions of a simulator, by name.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    by_name: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Numbers the environments of all functions.
    numbers: Arc<AtomicU64>,
}

impl Functions {
    /// Adds a function whose environments have their files below `folder`.
    pub(crate) fn deploy(&self, mut config: FunctionConfig, folder: &Path) -> Result<(), DeployError> {
        let program = fs::canonicalize(&config.program);
        // Absolute, since each environment has a working folder of its own.
        config.program =
            program.map_err(|error| DeployError::NoProgram(config.program.display().to_string(), error))?;
        match lock(&self.by_name).entry(config.name.clone()) {
            Entry::Occupied(taken) => Err(DeployError::NameTaken(taken.key().clone())),
            Entry::Vacant(free) => {
                free.insert(Arc::new(Function::new(config, folder.to_owned(), Arc::clone(&self.numbers))));
                Ok(())
            }
        }
    }

    /// The function of this name or ARN, with or without a version.
    pub(crate) fn find(&self, name_or_arn: &str) -> Result<Arc<Function>, InvokeError> {
        let (_, after) = name_or_arn.rsplit_once("function:").unwrap_or(("", name_or_arn));
        let name = after.split(':').next().unwrap_or_default();
        lock(&self.by_name).get(name).cloned().ok_or_else(|| InvokeError::NotFound(name_or_arn.to_owned()))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        lock(&self.by_name).values().cloned().collect()
    }

    /// The function that has, or had, this environment.
    pub(crate) fn of(&self, environment: EnvironmentId) -> Option<Arc<Function>> {
        self.all().into_iter().find(|function| function.environment(environment).is_some())
    }
}

/// Whether a payload is JSON, or nothing.
pub(crate) fn check(payload: &[u8]) -> Result<(), InvokeError> {
    if payload.is_empty() {
        return Ok(());
    }
    let parsed = serde_json::from_slice::<IgnoredAny>(payload);
    parsed.map(drop).map_err(|error| InvokeError::NotJson(error.to_string()))
}
