//! Faithful fake servers of backends that exist only as a service.
//!
//! Each fake speaks its vendor's public protocol and refuses what the real one refuses. What all have in common is in
//! [`fake`] (starting one), [`server`] (address, TLS, call counts, going down and up) and [`faults`] (bad days on
//! demand); a fake adds its own module with the vendor's commands. All can be driven from Rust, and over HTTP below
//! `/_fake/` (see [`server`]) when they run as a process: `keyferry-fakes akeyless --help`.
//!
//! Nothing in here is fit to keep real secrets.

pub mod akeyless;
pub mod azure;
pub mod fake;
pub mod faults;
pub mod gcp;
pub mod infisical;
pub mod keys;
pub mod server;
pub mod token_review;
pub mod webhook;

mod admin;
mod aws;
mod http1;
mod jwt;
mod lock;
mod request;
mod tokens;
