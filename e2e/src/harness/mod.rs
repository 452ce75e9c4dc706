//! Real surroundings for the operator: a control plane, OpenBao, moto and the operator's own process.
//!
//! ```text
//! ControlPlane ── etcd, kube-apiserver, kube-controller-manager     one per test binary: ControlPlane::shared()
//! Bao          ── OpenBao in memory                                 one per test binary: Bao::shared()
//! Moto         ── AWS in memory
//! Namespace    ── where one test lives: apply, wait, look
//! Operator     ── `keyferry run` as a process, watched from outside
//! Relay        ── stands between the two and fails on demand
//! ```
//!
//! Every process dies with the one that started it, however that ends ([`process`]). Their files live below
//! `.cache/run/` and go when they end; those of a killed run are kept until the next one starts ([`run_dir`]).
//!
//! Linux only. The programs must have been built: `e2e/cluster/build.sh`, `e2e/backends/install.sh`, `cargo build`.

mod audit;
mod bao;
mod bao_auth;
mod bao_kv;
mod control_plane;
mod kubeconfig;
mod layout;
mod manifests;
mod metrics;
mod moto;
mod namespace;
mod operator;
mod pki;
mod ports;
pub mod process;
mod relay;
pub mod run_dir;
mod usage;
pub mod wait;

pub use audit::{AuditLog, Mark, Request};
pub use bao::{Bao, Call};
pub use bao_kv::{Kv, KvVersion};
pub use control_plane::ControlPlane;
pub use layout::{built_binary, repository, tool};
pub use manifests::{apply_yaml, install_crds, install_rbac, resource_of};
pub use metrics::Metrics;
pub use moto::{AWS_ACCOUNT, AwsKeys, Moto};
pub use namespace::{Namespace, condition};
pub use operator::{Operator, OperatorSpec};
pub use ports::free_port;
pub use relay::{Fault, Relay};
pub use usage::Usage;
