//! A server that somebody wrote to give out secrets: what a webhook store may find at the other end.
//!
//! There is no vendor whose protocol it could follow, so it has one of each kind: a key in the path and in a body, an
//! answer in JSON and as plain text. It lets in only who shows a token, takes no field and no method that it does not
//! know, and answers in JSON whatever goes wrong.
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

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use serde_json::Value;

mod admin;
mod api;
mod world;

use self::world::World;
use crate::{
    faults::Faults,
    lock::lock,
    server::{Counts, Listen, Server},
};

/// What the server holds at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// What callers show as `Authorization: Bearer …`, or as the password of `Authorization: Basic …`.
    pub token: String,
    /// What there is to read.
    #[serde(default)]
    pub values: Vec<Secret>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { token: "webhook-token".into(), values: Vec::new() }
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

/// A running server. It goes down when it is dropped.
#[derive(Debug)]
pub struct WebhookTarget {
    world: Arc<Mutex<World>>,
    server: Server,
}

impl WebhookTarget {
    /// An empty server at a free port of this machine.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Listen::default(), Contents::default())
    }

    /// A server made to measure.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start_with(listen: Listen, contents: Contents) -> io::Result<Self> {
        let world = Arc::new(Mutex::new(World::new(contents)));
        let (vendor, admin) = (api::router(Arc::clone(&world)), admin::router(Arc::clone(&world)));
        let server = Server::start(listen, api::DIALECT, vendor, admin)?;
        Ok(Self { world, server })
    }

    /// Its address, without a path.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Calls by operation: `read`, `ask`, `raw`; what is none of them counts as `unknown`.
    pub fn counts(&self) -> &Counts {
        self.server.counts()
    }

    /// What goes wrong, by operation.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// The server, to take it down and up.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Puts a value in, as a new version where the key is there already; the version's number.
    pub fn put(&self, key: &str, value: impl Into<Value>) -> usize {
        lock(&self.world).put(Secret { key: key.to_owned(), value: value.into() })
    }

    /// Takes a key out; whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        lock(&self.world).remove(key)
    }

    /// From now on nobody may read this key.
    pub fn deny(&self, key: &str) {
        lock(&self.world).deny(key);
    }

    /// From now on only this token is accepted.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.world).token);
    }
}
