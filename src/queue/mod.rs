//! Decides which object is reconciled next.
//!
//! kube's own scheduler is first come, first served. Here a new object must not wait behind ten thousand refreshes,
//! and a namespace or store with much to do must not make the others wait: within a class the lanes take turns, and
//! one store never has more than its share in progress.

mod dispatch;
mod fair;

pub(crate) use dispatch::{Dispatcher, Reconciler, Wakeup};
pub(crate) use fair::{Class, Job, Lane};
