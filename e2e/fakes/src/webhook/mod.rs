//! A server that somebody wrote to give out secrets: what a webhook store may find at the other end.
//!
//! There is no vendor whose protocol it could follow, so it has one of each kind: a key in the path and in a body, an
//! answer in JSON and as plain text. It lets in only who shows a token, or who logs in with an account of a [`Domain`] as
//! IIS has it. It takes no field and no method that it does not know, and answers in JSON whatever goes wrong.
//!
//! | request | answers |
//! |---|---|
//! | `GET /v1/secrets/{key}?version=1&property=p` | `{"key": "a", "version": 1, "value": …}`; `version` and `property` may be absent or empty |
//! | `POST /v1/secrets` with `{"key": "a", "version": "", "property": "", "namespace": ""}` | the same; all but `key` may be absent |
//! | `GET /v1/raw/{key}` | the newest value, a text as it is |
//!
//! Its own paths below `/_fake/` (see [`crate::server`] for the others):
//!
//! | request | does |
//! |---|---|
//! | `GET /_fake/values` | keys and numbers of versions |
//! | `PUT /_fake/values` | puts a [`Secret`] in, or a new version of it: `{"key": "a", "value": "x"}` |
//! | `DELETE /_fake/values?key=a` | takes it out |
//! | `PUT /_fake/denied` | gives a key to nobody any more: `{"key": "a"}` |
//! | `PUT /_fake/token` | from now on lets in only who shows this: `{"token": "t"}` |
//! | `PUT /_fake/domain` | from now on lets in only accounts of this [`Domain`]: `{"name": "CORP", "dnsName": "corp.example.com", "accounts": [{"name": "ann", "password": "p"}]}` |

use std::sync::{Arc, Mutex};

use axum::Router;
use serde::Deserialize;
use serde_json::Value;

mod admin;
mod api;
mod ntlm;
mod world;

pub use self::ntlm::{Account, Domain};
use self::{ntlm::Guard, world::World};
use crate::{
    fake::{Fake, Vendor},
    lock::lock,
    server::{Dialect, Listen},
};

/// What the server holds at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// What callers show as `Authorization: Bearer …`, or as the password of `Authorization: Basic …`.
    pub token: String,
    /// Whose accounts are let in instead.
    #[serde(default)]
    pub domain: Option<Domain>,
    /// What there is to read.
    #[serde(default)]
    pub values: Vec<Secret>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { token: "webhook-token".into(), domain: None, values: Vec::new() }
    }
}

/// One version of a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its key.
    pub key: String,
    /// Any JSON.
    pub value: Value,
}

/// A running server. It counts its calls as `read`, `ask` and `raw`.
pub type WebhookTarget = Fake<Mutex<World>>;

impl Vendor for Mutex<World> {
    type Settings = ();
    type Contents = Contents;
    const DIALECT: Dialect = api::DIALECT;

    fn new(_: &Listen, (): (), contents: Contents) -> Self {
        Self::new(World::new(contents))
    }

    fn service(self: Arc<Self>) -> Router {
        api::router(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        admin::router(self)
    }
}

impl WebhookTarget {
    /// Puts a value in, as a new version where the key is there already; the version's number.
    pub fn put(&self, key: &str, value: impl Into<Value>) -> usize {
        lock(&self.vendor).put(Secret { key: key.to_owned(), value: value.into() })
    }

    /// Takes a key out; whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        lock(&self.vendor).remove(key)
    }

    /// From now on nobody may read this key.
    pub fn deny(&self, key: &str) {
        lock(&self.vendor).deny(key);
    }

    /// From now on only this token is accepted.
    pub fn set_token(&self, token: &str) {
        lock(&self.vendor).let_in_token(token.to_owned());
    }

    /// From now on only accounts of this domain are let in. Connections that are logged in must do so again.
    pub fn set_domain(&self, domain: Domain) {
        lock(&self.vendor).guard = Some(Guard::of(domain));
    }
}
