//! Mutexes whose holders never leave a half-made change.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also when a test that held it has panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
