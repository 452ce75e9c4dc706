//! The vault: who may read, and what.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Kind, api::Cloud, refusal::Refusal, world::World};
use crate::lock::lock;

type Query = BTreeMap<String, String>;

const API_VERSIONS: [&str; 10] =
    ["2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-06-01-preview", "2025-07-01"];
const LONGEST_NAME: usize = 127;

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
    let is_version = |byte: u8| byte.is_ascii_hexdigit();
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_name) || !version.bytes().all(is_version) {
        return Err(Refusal::bad_parameter());
    }
    if world.denied.contains(&(kind, name.to_owned())) {
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
            let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
            name.ok_or_else(Refusal::bad_parameter)?
        }
    };
    let base = cloud.base(headers);
    let page = world.objects.page(kind, &after, count);
    let next = page.last().filter(|last| !world.objects.page(kind, &last.object.name, 1).is_empty());
    let next = next.map(|last| {
        let token = URL_SAFE_NO_PAD.encode(&last.object.name);
        let version = &query["api-version"];
        format!("{base}/{}?api-version={version}&$skiptoken={token}&maxresults={count}", kind.collection())
    });
    let value: Vec<_> = page.iter().map(|held| held.properties(&base)).collect();
    Ok(json!({ "value": value, "nextLink": next }))
}

/// Lets in whoever has a token for this vault of its own tenant.
fn admit(cloud: &Cloud, world: &World, headers: &HeaderMap) -> Result<(), Refusal> {
    let settings = &cloud.settings;
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.and_then(|token| world.tokens.find(token));
    if !token.is_some_and(|token| token.resource == settings.audience && token.tenant == settings.tenant) {
        return Err(Refusal::unauthorized(&settings.tenant, &settings.audience));
    }
    if world.firewall { Err(Refusal::forbidden("ForbiddenByFirewall")) } else { Ok(()) }
}

fn check_query(query: &Query, known: &[&str]) -> Result<(), Refusal> {
    let is_version = query.get("api-version").is_some_and(|version| API_VERSIONS.contains(&version.as_str()));
    let is_known = query.keys().all(|name| known.contains(&name.as_str()));
    if is_version && is_known { Ok(()) } else { Err(Refusal::bad_parameter()) }
}
