//! The metadata service of a machine in Azure.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{api::Cloud, refusal::Refusal, world::Bearer};
use crate::lock::lock;

/// An identity that is assigned to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManagedIdentity {
    /// Its client id.
    pub client_id: String,
    /// Whether it is the machine's own, and so the one that is meant when none is named.
    #[serde(default)]
    pub system: bool,
}

/// `GET http://169.254.169.254/metadata/identity/oauth2/token`
pub(super) fn request_token(
    cloud: &Cloud,
    headers: &HeaderMap,
    query: &BTreeMap<String, String>,
) -> Result<Value, Refusal> {
    let wrong = Refusal::machine;
    // What a proxy passes on comes from elsewhere.
    if headers.get("metadata").is_none_or(|value| value != "true") || headers.contains_key("x-forwarded-for") {
        return Err(wrong("Required metadata header not specified"));
    }
    if query.get("api-version").is_none_or(|version| version != "2018-02-01") {
        return Err(wrong("api-version is missing or not supported"));
    }
    if query.keys().any(|name| !["api-version", "client_id", "resource"].contains(&name.as_str())) {
        return Err(wrong("the request has a parameter that is not known"));
    }
    let resource = query.get("resource").filter(|resource| !resource.is_empty());
    let resource = resource.ok_or_else(|| wrong("resource is missing"))?.trim_end_matches('/');
    let mut world = lock(&cloud.world);
    let identities = &world.identities;
    let identity = match (query.get("client_id"), identities.as_slice()) {
        (Some(client_id), _) => identities.iter().find(|identity| identity.client_id == *client_id),
        (None, [only]) => Some(only),
        (None, _) => identities.iter().find(|identity| identity.system),
    };
    let client_id = identity.ok_or_else(|| wrong("Identity not found"))?.client_id.clone();
    let settings = &cloud.settings;
    let bearer =
        Bearer { client_id: client_id.clone(), resource: resource.to_owned(), tenant: settings.tenant.clone() };
    let token = world.tokens.issue("eyJ.", bearer, Some(settings.token_ttl));
    let (seconds, now) = (settings.token_ttl.as_secs(), Timestamp::now().as_second());
    Ok(json!({
        "access_token": token,
        "client_id": client_id,
        "expires_in": seconds.to_string(),
        "expires_on": now.saturating_add_unsigned(seconds).to_string(),
        "not_before": now.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    }))
}
