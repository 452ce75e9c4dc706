//! All that a cloud knows, behind one lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{Application, Kind, ManagedIdentity, objects::Objects};

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
    pub(super) denied: BTreeSet<(Kind, String)>,
    pub(super) firewall: bool,
    pub(super) identities: Vec<ManagedIdentity>,
    pub(super) objects: Objects,
    pub(super) tokens: Tokens,
}

/// Access tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, Token>);

#[derive(Debug)]
pub(super) struct Token {
    client_id: String,
    end: Timestamp,
    pub(super) resource: String,
    pub(super) tenant: String,
}

impl World {
    pub(super) fn unregister(&mut self, client_id: &str) -> bool {
        self.tokens.0.retain(|_, token| token.client_id != client_id);
        self.applications.remove(client_id).is_some()
    }
}

impl Tokens {
    pub(super) fn issue(&mut self, client_id: &str, tenant: &str, resource: &str, ttl: Duration) -> String {
        let text = format!("eyJ.{:032x}.fake", rand::random::<u128>());
        let end = Timestamp::now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
        let (resource, tenant) = (resource.to_owned(), tenant.to_owned());
        self.0.insert(text.clone(), Token { client_id: client_id.to_owned(), end, resource, tenant });
        text
    }

    /// What is known of a token that still holds.
    pub(super) fn find(&self, text: &str) -> Option<&Token> {
        self.0.get(text).filter(|token| Timestamp::now() < token.end)
    }

    pub(super) fn expire_all(&mut self) {
        self.0.values_mut().for_each(|token| token.end = Timestamp::UNIX_EPOCH);
    }
}
