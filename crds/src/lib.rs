//! Types, schemas and admission rules of the custom resources. No I/O.
//!
//! | what | where |
//! |---|---|
//! | what users write | [`ExternalSecret`], [`SecretStore`], [`ClusterSecretStore`], [`ProviderSpec`] |
//! | what the API server checks | rules (CEL) beside the types, joined to CustomResourceDefinitions in [`generate`] |
//! | what is checked again | [`admission`]: objects may have been stored before our rules were there |
//! | names that others know us by | [`keys`], [`reasons`] |

pub mod admission;
#[cfg(test)]
mod api_server;
mod condition;
mod duration;
#[allow(unreachable_pub, reason = "kube's KubeSchema repeats public structs within functions")]
mod external_secret;
pub mod generate;
mod hidden;
pub mod keys;
#[allow(unreachable_pub, reason = "kube's KubeSchema repeats public structs within functions")]
mod provider;
pub mod reasons;
mod reference;
mod schema;
#[allow(unreachable_pub, reason = "kube's KubeSchema repeats public structs within functions")]
mod secret_store;
mod selector;

pub use condition::Condition;
pub use duration::{DurationError, GoDuration};
pub use external_secret::*;
pub use hidden::Hidden;
pub use provider::*;
pub use reference::{Reference, ReferenceKind};
pub use secret_store::*;
pub use selector::{
    CaProvider, CaProviderType, SecretKeySelector, SecretStoreRef, ServiceAccountSelector, StoreRefKind,
};
