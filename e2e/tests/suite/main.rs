//! All end-to-end tests, in one binary so that they share one control plane and one OpenBao.
//!
//! Each test is a tenant of its own (`support::Tenant`): a namespace, a KV mount, a store and an operator that cares for
//! this namespace only, with the rights of `deploy/rbac.yaml`. Hence all run in parallel.

mod admission;
mod adoption;
mod akeyless;
mod cluster_stores;
mod creation;
mod definitions;
mod deletion;
mod demo;
mod dependencies;
mod documented;
mod drift;
mod harness;
mod infisical;
mod input;
mod leaks;
mod metadata;
mod outages;
mod portefaix;
mod process;
mod properties;
mod proxies;
mod refresh;
mod restart;
mod sharing;
mod stores;
mod support;
mod vault;
mod vault_login;
mod waking;
