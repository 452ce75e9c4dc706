//! An Infisical server: the logins of machine identities, and reading secrets (API version 3, `raw`).
//!
//! It is strict where the real one is: a login proves what its method asks for (client secret, signatures of JWTs and
//! requests, subject, audience, time), access tokens end, projects, environments and folders must exist, a role sees
//! only its secrets, imports go in their order, and references are expanded only into what the caller may read; a token
//! that was revoked is refused, and nobody revokes one that does not hold. It is
//! stricter in one thing: a query or body may have only members that the API knows.
//!
//! Operations, as counts and faults name them: `login`, `list-secrets`, `get-secret`, `revoke-token`; what is none counts
//! as `unknown`.
//! A fault with status 403 is worded as that of an expired token.
//!
//! Its own paths below `/_fake/` (see [`crate::server`] for the others):
//!
//! | request | does |
//! |---|---|
//! | `PUT /_fake/projects` | makes a [`Project`]: `{"slug": "web", "environments": ["dev"]}` |
//! | `PUT /_fake/folders` | makes a folder: `{"project": "web", "environment": "dev", "path": "/a"}` |
//! | `PUT /_fake/secrets` | puts a [`Secret`] in, or a new version of it: `{"project": …, "name": "A", "value": "x"}` |
//! | `DELETE /_fake/secrets?project=web&environment=dev&path=/a&name=A` | takes it out |
//! | `PUT /_fake/imports` | adds an [`Import`] to a folder |
//! | `PUT /_fake/identities` | lets an [`Identity`] in |
//! | `DELETE /_fake/identities?id=i` | locks it out, with its tokens |
//! | `POST /_fake/tokens/expire` | ends all tokens |

use std::collections::BTreeMap;

use serde::Deserialize;

mod admin;
mod api;
mod folders;
mod identity;
mod login;
mod oci;
mod read;
mod reference;
mod refusal;
mod world;

pub use folders::{Import, Place, Project, Secret};
pub use identity::{Expiry, Identity, Method, Rule};
pub use world::{Absence, Settings};

use crate::{fake::Fake, lock::lock};

/// What a server holds at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Who may log in.
    #[serde(default)]
    pub identities: Vec<Identity>,
    /// The projects.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// What there is to read.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Which folders import others.
    #[serde(default)]
    pub imports: Vec<Import>,
}

/// A running server. Its address is without `/api`.
pub type InfisicalServer = Fake<api::Infisical>;

impl InfisicalServer {
    /// Makes a project, or replaces it with an empty one.
    pub fn make_project(&self, project: Project) {
        lock(&self.vendor.world).make_project(project);
    }

    /// Makes an empty folder; whether project and environment are there.
    pub fn make_folder(&self, place: &Place) -> bool {
        lock(&self.vendor.world).make_folder(place).is_some()
    }

    /// Puts a secret in, or a new version of it, and says which; `None` where project or environment are missing.
    pub fn put(&self, secret: Secret) -> Option<usize> {
        lock(&self.vendor.world).put(secret)
    }

    /// Gives a secret this metadata and no other; whether it is there.
    pub fn describe(&self, place: &Place, name: &str, metadata: BTreeMap<String, String>) -> bool {
        lock(&self.vendor.world).describe(place, name, metadata)
    }

    /// Takes a secret out; whether it was there.
    pub fn remove(&self, place: &Place, name: &str) -> bool {
        lock(&self.vendor.world).remove(place, name)
    }

    /// Makes a folder import another one; whether project and environment are there.
    pub fn import(&self, import: Import) -> bool {
        lock(&self.vendor.world).import(import)
    }

    /// Lets an identity in, or changes how it proves itself and what it may read.
    pub fn grant(&self, identity: Identity) {
        lock(&self.vendor.world).grant(identity);
    }

    /// Locks an identity out, with its tokens; whether it was known.
    pub fn revoke(&self, id: &str) -> bool {
        lock(&self.vendor.world).identities.remove(id).is_some()
    }

    /// Ends all tokens.
    pub fn expire_tokens(&self) {
        lock(&self.vendor.world).tokens.expire_all();
    }

    /// How many tokens were revoked by their bearers.
    pub fn revoked_tokens(&self) -> usize {
        lock(&self.vendor.world).revoked_tokens.len()
    }

    /// Changes how the end of a token is worded.
    pub fn word_expiry(&self, expiry: Expiry) {
        lock(&self.vendor.settings).expiry = expiry;
    }
}
