//! The vault: who may read, and what.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Kind, api::Cloud, refusal::Refusal, world::World};
use crate::{lock::lock, request::bearer, tokens::Found};

type Query = BTreeMap<String, String>;

const API_VERSIONS: [&str; 10] =
    ["2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-06-01-preview", "2025-07-01"];
const LONGEST_NAME: usize = 127;
const VERSION_LENGTH: usize = 32;

/// `GET /secrets/{name}/{version}`, and the same of keys and certificates.
pub(super) fn read(
    cloud: &Cloud,
    headers: &HeaderMap,
    kind: Kind,
    name: &str,
    version: &str,
    query: &Query,
) -> Result<Value, Refusal> {
    let world = lock(&cloud.world);
    admit(cloud, &world, headers)?;
    check_query(query, &["api-version"])?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_name) {
        return Err(Refusal::bad_parameter());
    }
    // What is no version would be the name of an operation.
    let is_version = version.len() == VERSION_LENGTH && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !version.is_empty() && !is_version {
        return Err(Refusal::bad_parameter());
    }
    if world.is_denied(kind, name) {
        return Err(Refusal::forbidden("ForbiddenByRbac"));
    }
    let held = world.objects.find(kind, name, version).ok_or_else(|| {
        let code = match kind {
            Kind::Certificate => "CertificateNotFound",
            Kind::Key => "KeyNotFound",
            Kind::Secret => "SecretNotFound",
        };
        Refusal::vault(StatusCode::NOT_FOUND, code)
    })?;
    match kind {
        Kind::Key if held.object.disabled => Err(Refusal::forbidden("KeyDisabled")),
        Kind::Secret if held.object.disabled => Err(Refusal::forbidden("SecretDisabled")),
        _ => Ok(held.whole(&cloud.base(headers))),
    }
}

/// `GET /secrets`, and the same of keys and certificates.
pub(super) fn list(cloud: &Cloud, headers: &HeaderMap, kind: Kind, query: &Query) -> Result<Value, Refusal> {
    let world = lock(&cloud.world);
    admit(cloud, &world, headers)?;
    check_query(query, &["$skiptoken", "api-version", "maxresults"])?;
    let count = match query.get("maxresults") {
        None => cloud.settings.page,
        Some(text) => {
            let count = text.parse().ok().filter(|count| (1..=cloud.settings.page).contains(count));
            count.ok_or_else(Refusal::bad_parameter)?
        }
    };
    let after = match query.get("$skiptoken") {
        None => String::new(),
        Some(token) => {
            let last = URL_SAFE_NO_PAD.decode(token).ok().and_then(|last| String::from_utf8(last).ok());
            let name = last.as_deref().and_then(|last| last.strip_prefix(kind.collection())?.strip_prefix('/'));
            name.ok_or_else(Refusal::bad_parameter)?.to_owned()
        }
    };
    let base = cloud.base(headers);
    let page = world.objects.page(kind, &after, count);
    let next = page.last().filter(|last| !world.objects.page(kind, &last.object.name, 1).is_empty());
    let next = next.map(|last| {
        let token = URL_SAFE_NO_PAD.encode(format!("{}/{}", kind.collection(), last.object.name));
        let version = &query["api-version"];
        format!("{base}/{}?api-version={version}&$skiptoken={token}&maxresults={count}", kind.collection())
    });
    let value: Vec<_> = page.iter().map(|held| held.properties(&base)).collect();
    Ok(json!({ "value": value, "nextLink": next }))
}

/// Lets in whoever has a token for this vault of its own tenant.
fn admit(cloud: &Cloud, world: &World, headers: &HeaderMap) -> Result<(), Refusal> {
    let settings = &cloud.settings;
    let is_admitted = match bearer(headers).map_or(Found::Unknown, |token| world.tokens.find(token)) {
        Found::Holds(bearer) => bearer.resource == settings.audience && bearer.tenant == settings.tenant,
        Found::Ended | Found::Unknown => false,
    };
    if !is_admitted {
        return Err(Refusal::unauthorized(&settings.tenant, &settings.audience));
    }
    if world.firewall { Err(Refusal::forbidden("ForbiddenByFirewall")) } else { Ok(()) }
}

fn check_query(query: &Query, known: &[&str]) -> Result<(), Refusal> {
    let is_version = query.get("api-version").is_some_and(|version| API_VERSIONS.contains(&version.as_str()));
    let is_known = query.keys().all(|name| known.contains(&name.as_str()));
    if is_version && is_known { Ok(()) } else { Err(Refusal::bad_parameter()) }
}
