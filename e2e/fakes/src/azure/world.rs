//! All that a cloud knows, behind one lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Application, Kind, ManagedIdentity, objects::Objects};
use crate::tokens::Tokens;

/// How a cloud behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom tokens for the vault are for.
    pub audience: String,
    /// How many objects a page of a listing holds at most.
    pub page: usize,
    /// The vault's tenant.
    pub tenant: String,
    /// How long an access token holds.
    pub token_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            audience: "https://vault.azure.net".into(),
            page: 25,
            tenant: "7e57ab1e-0000-4000-8000-000000000001".into(),
            token_ttl: Duration::from_hours(1),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) applications: BTreeMap<String, Application>,
    /// Ids of assertions that have been used.
    pub(super) assertions: BTreeSet<String>,
    denied: BTreeSet<(Kind, String)>,
    pub(super) firewall: bool,
    pub(super) identities: Vec<ManagedIdentity>,
    pub(super) objects: Objects,
    pub(super) tokens: Tokens<Bearer>,
}

/// Whom an access token was given to, and for what.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) client_id: String,
    pub(super) resource: String,
    pub(super) tenant: String,
}

impl World {
    /// Lets an application in, or changes how it proves itself.
    pub(super) fn register(&mut self, application: Application) {
        self.applications.insert(application.client_id.clone(), application);
    }

    pub(super) fn unregister(&mut self, client_id: &str) -> bool {
        self.tokens.retain(|bearer| bearer.client_id != client_id);
        self.applications.remove(client_id).is_some()
    }

    /// Nobody may read this object any more.
    pub(super) fn deny(&mut self, kind: Kind, name: &str) {
        self.denied.insert((kind, name.to_ascii_lowercase()));
    }

    pub(super) fn is_denied(&self, kind: Kind, name: &str) -> bool {
        self.denied.contains(&(kind, name.to_ascii_lowercase()))
    }
}
