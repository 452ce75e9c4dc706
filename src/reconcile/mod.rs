//! One folder for each kind that is reconciled.

pub(crate) mod external_secret;
mod patience;
pub(crate) mod store;
