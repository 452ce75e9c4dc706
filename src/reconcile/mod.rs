//! One folder for each kind that is reconciled.

pub(crate) mod external_secret;
mod patience;
mod ready;
pub(crate) mod store;
