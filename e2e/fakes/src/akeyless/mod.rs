//! An Akeyless gateway: the commands of its V2 API that readers of secrets use.
//!
//! It is strict where the real one is: tokens come from `/auth` and end, an access id has one access type, what a cloud or
//! a cluster vouches for is verified with its keys (issuer, audience, subject, time), a role sees only its items, an item
//! is read with the command of its type, and a request has only fields that the API knows.
//!
//! Its own paths below `/_fake/` (see [`crate::server`] for the others):
//!
//! | request | does |
//! |---|---|
//! | `GET /_fake/items` | names, types, tags and number of versions |
//! | `PUT /_fake/items` | puts an [`Item`] in, or a new version of it: `{"name": "/a", "value": "x"}` |
//! | `DELETE /_fake/items?name=/a` | takes it out |
//! | `POST /_fake/items/rotate` | gives an item a new version: `{"name": "/a", "value": "y"}` |
//! | `PUT /_fake/access` | lets an [`Access`] in: `{"id": "p-1", "type": "api_key", "key": "k"}` |
//! | `DELETE /_fake/access?id=p-1` | locks it out, with its tokens |
//! | `POST /_fake/tokens/expire` | ends all tokens |
//! | `POST /_fake/cache/flush` | forgets cached values |

use serde::Deserialize;
use serde_json::Value;

mod access;
mod admin;
mod api;
mod body;
mod cloud;
mod commands;
mod items;
mod refusal;
mod world;

pub use access::{Access, Method};
pub use items::{Item, ItemType};
pub use world::Settings;

pub use crate::token_review::TokenReview;
use crate::{fake::Fake, lock::lock};

/// What a gateway holds at first; as JSON the content of the file that the program is started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Who may log in.
    #[serde(default)]
    pub access: Vec<Access>,
    /// What there is to read.
    #[serde(default)]
    pub items: Vec<Item>,
}

/// A running gateway. It counts its calls by command: `auth`, `describe-item`, …
pub type AkeylessGateway = Fake<api::Gateway>;

impl AkeylessGateway {
    /// Puts an item in. One of the same name and type gets a new version, one of another type is replaced.
    pub fn put(&self, item: Item) {
        lock(&self.vendor.world).items.put(item);
    }

    /// Gives an item a new version; whether there is such an item.
    pub fn rotate(&self, name: &str, value: impl Into<Value>) -> bool {
        lock(&self.vendor.world).items.rotate(name, value.into())
    }

    /// Gives an item these tags and no others; whether there is such an item.
    pub fn tag(&self, name: &str, tags: &[&str]) -> bool {
        lock(&self.vendor.world).items.tag(name, tags)
    }

    /// The number of the newest version of an item, if there is such an item.
    pub fn last_version(&self, name: &str) -> Option<usize> {
        lock(&self.vendor.world).items.get(name).map(items::Held::last_version)
    }

    /// Takes an item out; whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        lock(&self.vendor.world).items.remove(name)
    }

    /// Lets an access id in, or changes how it proves itself and what it may read.
    pub fn grant(&self, access: Access) {
        lock(&self.vendor.world).grant(access);
    }

    /// From now on an access id may not read the items that `rule` names (see [`Access::allow`]); whether it is known.
    pub fn deny(&self, access_id: &str, rule: &str) -> bool {
        let access = &mut lock(&self.vendor.world).access;
        access.get_mut(access_id).map(|access| access.deny.push(rule.to_owned())).is_some()
    }

    /// Locks an access id out, with its tokens; whether it was known.
    pub fn revoke(&self, access_id: &str) -> bool {
        lock(&self.vendor.world).access.remove(access_id).is_some()
    }

    /// Ends all tokens.
    pub fn expire_tokens(&self) {
        lock(&self.vendor.world).tokens.expire_all();
    }

    /// Forgets all tokens, as a gateway that is restarted.
    pub fn forget_tokens(&self) {
        lock(&self.vendor.world).tokens.retain(|_| false);
    }

    /// Forgets cached values.
    pub fn flush_cache(&self) {
        lock(&self.vendor.world).cache.clear();
    }
}
