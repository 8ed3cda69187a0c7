//! Locking without poison: state is changed in whole steps, so that a panic elsewhere leaves it whole.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its handle.
#[derive(Debug)]
pub(crate) struct OwnedTask(pub(crate) AbortHandle);

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
