//! Who somebody is, proven in the way of a cloud: what several backends accept as a login.
//!
//! A backend keeps how it wraps a proof into its own login; how the proof comes about is here, once for all of them.
//!
//! | module | proof |
//! |---|---|
//! | [`aws`] | a signed request that asks AWS who has signed it, for others to send; credentials for AWS itself |
//! | [`azure`] | a token of a managed identity, and how Azure hands out tokens |
//! | [`file`](mod@file) | whatever is mounted into the operator's pod |
//! | [`google`] | identity tokens, signed JWTs and access tokens of service accounts |
//!
//! Every function that can fail is told its `purpose`, which its errors name: the field or the access type in the
//! store's manifest for which the proof is made.

pub mod aws;
pub mod azure;
pub mod file;
pub mod google;
mod variables;

pub use variables::Variables;
