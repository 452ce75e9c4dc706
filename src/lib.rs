//! Keyferry: an operator that ferries secrets from external backends into Kubernetes Secrets.
//!
//! The modules in this folder are wired in once the crates that they build on are whole.
