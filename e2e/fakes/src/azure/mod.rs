//! An Azure cloud in miniature: Entra ID, the metadata service of its machines, and one Key Vault.
//!
//! It is strict where the real one is: applications prove themselves with a secret, with an assertion that their
//! certificate has signed (thumbprint, algorithm, audience, issuer, subject, time, each id once), or with the token of
//! somebody whom they trust (issuer, subject, audience, signature); a token is for one resource and ends; the vault
//! accepts tokens for itself and of its own tenant, asks for an API version, keeps to its rules for names, and lists
//! 25 objects at a time. It is stricter in one thing: a query or form may have only members that the API knows.
//!
//! Operations, as counts and faults name them: `RequestToken` (Entra ID), `GetManagedIdentityToken`, `GetSecret`,
//! `GetSecrets`, `GetKey`, `GetKeys`, `GetCertificate`, `GetCertificates`; what is none counts as `unknown`.
//!
//! Its own paths below `/_fake/` (see [`crate::server`] for the others):
//!
//! | request | does |
//! |---|---|
//! | `PUT /_fake/applications` | lets an [`Application`] in: `{"tenant": "t", "clientId": "c", "secrets": ["s"]}` |
//! | `DELETE /_fake/applications?clientId=c` | removes it, with its tokens |
//! | `PUT /_fake/identities` | assigns a [`ManagedIdentity`] to the machine: `{"clientId": "c"}` |
//! | `PUT /_fake/objects` | puts an [`Object`] in, or a new version of it: `{"name": "a", "secret": "x"}` |
//! | `DELETE /_fake/objects?kind=secret&name=a` | deletes it |
//! | `PUT /_fake/denials` | nobody may read it any more: `{"kind": "secret", "name": "a"}` |
//! | `PUT /_fake/firewall`, `DELETE /_fake/firewall` | lets nobody in, or everybody |
//! | `POST /_fake/tokens/expire` | ends all tokens |

use std::collections::BTreeMap;

use serde::Deserialize;

mod admin;
mod api;
mod assertion;
mod entra;
mod machine;
mod objects;
mod refusal;
mod vault;
mod world;

pub use entra::{Application, Federation};
pub use machine::ManagedIdentity;
pub use objects::{Content, Kind, Object};
pub use world::Settings;

use crate::{fake::Fake, lock::lock};

/// What there is at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Who may log in at Entra ID.
    #[serde(default)]
    pub applications: Vec<Application>,
    /// Who the machine is.
    #[serde(default)]
    pub identities: Vec<ManagedIdentity>,
    /// What the vault holds.
    #[serde(default)]
    pub objects: Vec<Object>,
}

/// A running cloud: Entra ID, the metadata service and the vault at one address.
pub type AzureCloud = Fake<api::Cloud>;

impl AzureCloud {
    /// Lets an application in, or changes how it proves itself.
    pub fn register(&self, application: Application) {
        lock(&self.vendor.world).register(application);
    }

    /// Removes an application, with its tokens; whether it was known.
    pub fn unregister(&self, client_id: &str) -> bool {
        lock(&self.vendor.world).unregister(client_id)
    }

    /// Assigns a managed identity to the machine.
    pub fn assign(&self, identity: ManagedIdentity) {
        lock(&self.vendor.world).identities.push(identity);
    }

    /// Puts an object in, or a new version of it, and says which.
    pub fn put(&self, object: Object) -> String {
        lock(&self.vendor.world).objects.put(object)
    }

    /// Gives the newest version of an object these tags and no others; whether it is there.
    pub fn tag(&self, kind: Kind, name: &str, tags: BTreeMap<String, String>) -> bool {
        lock(&self.vendor.world).objects.tag(kind, name, tags)
    }

    /// Deletes an object; whether it was there.
    pub fn delete(&self, kind: Kind, name: &str) -> bool {
        lock(&self.vendor.world).objects.delete(kind, name)
    }

    /// Nobody may read this object any more.
    pub fn deny(&self, kind: Kind, name: &str) {
        lock(&self.vendor.world).deny(kind, name);
    }

    /// Whether the vault's firewall lets nobody in.
    pub fn close_firewall(&self, closed: bool) {
        lock(&self.vendor.world).firewall = closed;
    }

    /// Ends all tokens.
    pub fn expire_tokens(&self) {
        lock(&self.vendor.world).tokens.expire_all();
    }
}
