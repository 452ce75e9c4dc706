//! All that a gateway knows, behind one lock.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    access::Access,
    body::Body,
    items::{ItemType, Items, full_name},
    refusal::Refusal,
};
use crate::tokens::{Found, Tokens};

/// How a gateway behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The paths below which the API answers, without a slash at the end.
    pub bases: Vec<String>,
    /// Keep the values that were read, and answer with them until [`super::AkeylessGateway::flush_cache`], unless a
    /// request says `ignore-cache`.
    pub cache: bool,
    /// Most items on one page of a listing.
    pub page: usize,
    /// Leave names out that cannot be read together with others, instead of refusing the whole request.
    pub partial_batches: bool,
    /// Whether `/auth` says when a token ends.
    pub tells_expiration: bool,
    /// What tokens begin with: `t-`, or `u-` for those of universal identities.
    pub token_prefix: String,
    /// How long a token holds.
    pub token_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bases: ["", "/v2", "/api/v2"].map(str::to_owned).into(),
            cache: false,
            page: 1000,
            partial_batches: false,
            tells_expiration: true,
            token_prefix: "t-".to_owned(),
            token_ttl: Duration::from_hours(1),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) access: BTreeMap<String, Access>,
    pub(super) cache: BTreeMap<String, Value>,
    pub(super) items: Items,
    /// By access id.
    pub(super) tokens: Tokens<String>,
    serial: u64,
}

impl World {
    /// Lets an access id in, or changes how it proves itself and what it may read.
    pub(super) fn grant(&mut self, access: Access) {
        self.access.insert(access.id.clone(), access);
    }

    /// Who sends this request.
    pub(super) fn caller(&self, body: &Body) -> Result<Access, Refusal> {
        let universal = !body.text("uid-token").is_empty();
        let token = body.text(if universal { "uid-token" } else { "token" });
        if token.is_empty() {
            return Err(Refusal::unauthorized("a token is required"));
        }
        if token.starts_with("u-") != universal {
            return Err(Refusal::unauthorized("the token is of another kind than its field"));
        }
        self.owner(token).cloned()
    }

    /// Whose token this is.
    pub(super) fn owner(&self, token: &str) -> Result<&Access, Refusal> {
        let access = match self.tokens.find(token) {
            Found::Holds(id) => self.access.get(id),
            Found::Ended => None,
            // A gateway that was restarted does not know what it has given out before.
            Found::Unknown => return Err(Refusal::unknown_token()),
        };
        access.ok_or_else(|| Refusal::unauthorized("the token has expired"))
    }

    /// The value of an item that must be of type `kind`, from the cache if `cached` allows it.
    pub(super) fn read(
        &mut self,
        caller: &Access,
        name: &str,
        kind: ItemType,
        version: Option<usize>,
        cached: bool,
    ) -> Result<Value, Refusal> {
        let full_name = full_name(name);
        if !caller.may_read(&full_name) {
            return Err(Refusal::forbidden(format!("no read permission for {full_name}")));
        }
        let held = self.items.get(name).ok_or_else(|| Refusal::not_found("item does not exist"))?;
        if held.kind != kind {
            let (is, wanted) = (held.kind.described(), kind.described());
            return Err(Refusal::bad_request(format!("item is of type {is}, not {wanted}")));
        }
        let value = held.version(version).ok_or_else(|| Refusal::not_found("item version does not exist"))?;
        if cached && version.is_none() {
            return Ok(self.cache.entry(full_name).or_insert_with(|| value.clone()).clone());
        }
        Ok(value.clone())
    }

    /// A number that was never given out before.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
