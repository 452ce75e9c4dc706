//! Entra ID: who the applications are, and their tokens.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{api::Cloud, assertion, refusal::Refusal, world::Bearer};
use crate::{
    jwt::Jwt,
    keys::{Keys, Wrong},
    lock::lock,
    request::{is_of, pairs},
};

/// An application. All its proofs are good.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Application {
    /// Its client id.
    pub client_id: String,
    /// Its tenant.
    pub tenant: String,
    /// Its certificates, in PEM.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Whose tokens it trusts.
    #[serde(default)]
    pub federations: Vec<Federation>,
    /// Its client secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// Somebody elsewhere whose tokens an application trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federation {
    /// Whom the tokens are for; mostly `api://AzureADTokenExchange`.
    pub audience: String,
    /// Who issues them.
    pub issuer: String,
    /// How they are verified.
    pub keys: Keys,
    /// Whose they are: `system:serviceaccount:NAMESPACE:NAME`.
    pub subject: String,
}

impl Application {
    /// An application that has no proof yet.
    pub fn new(tenant: &str, client_id: &str) -> Self {
        let (certificates, federations, secrets) = (vec![], vec![], vec![]);
        Self { client_id: client_id.to_owned(), tenant: tenant.to_owned(), certificates, federations, secrets }
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const FIELDS: [&str; 6] =
    ["client_assertion", "client_assertion_type", "client_id", "client_secret", "grant_type", "scope"];

/// `POST https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token`
pub(super) async fn request_token(
    cloud: &Cloud,
    tenant: &str,
    endpoint: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let form = form(headers, body).ok_or_else(|| Refusal::request(900_144))?;
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if form.keys().any(|name| !FIELDS.contains(&name.as_str())) || given("client_id").is_empty() {
        return Err(Refusal::request(900_144));
    }
    if given("grant_type") != "client_credentials" {
        return Err(Refusal::entra(70003, "unsupported_grant_type"));
    }
    let application = find(cloud, tenant, given("client_id"))?;
    let resource = given("scope").strip_suffix("/.default").filter(|resource| !resource.is_empty());
    let resource = resource.ok_or_else(|| Refusal::entra(1_002_012, "invalid_scope"))?;
    if resource != cloud.settings.audience {
        return Err(Refusal::entra(500_011, "invalid_resource"));
    }
    match (form.get("client_secret"), form.get("client_assertion")) {
        (Some(secret), None) if application.secrets.contains(secret) => {}
        (Some(_), None) => return Err(Refusal::client(7_000_215)),
        (None, Some(assertion)) if given("client_assertion_type") == ASSERTION_TYPE => {
            verify(cloud, &application, endpoint, assertion).await?;
        }
        _ => return Err(Refusal::client(7_000_216)),
    }
    let ttl = cloud.settings.token_ttl;
    let bearer = Bearer { client_id: application.client_id, resource: resource.to_owned(), tenant: tenant.to_owned() };
    let token = lock(&cloud.world).tokens.issue("eyJ.", bearer, Some(ttl));
    let seconds = ttl.as_secs();
    Ok(json!({ "access_token": token, "expires_in": seconds, "ext_expires_in": seconds, "token_type": "Bearer" }))
}

fn find(cloud: &Cloud, tenant: &str, client_id: &str) -> Result<Application, Refusal> {
    let world = lock(&cloud.world);
    let is_tenant =
        tenant == cloud.settings.tenant || world.applications.values().any(|application| application.tenant == tenant);
    if !is_tenant {
        return Err(Refusal::request(90002));
    }
    let application = world.applications.get(client_id).filter(|application| application.tenant == tenant);
    application.cloned().ok_or_else(|| Refusal::entra(700_016, "unauthorized_client"))
}

/// An assertion is the application's own, or the token of somebody whom it trusts.
async fn verify(cloud: &Cloud, application: &Application, endpoint: &str, text: &str) -> Result<(), Refusal> {
    let jwt = Jwt::parse(text).ok_or_else(|| Refusal::client(50027))?;
    let (issuer, subject) = (jwt.claims.text("iss"), jwt.claims.text("sub"));
    if issuer == application.client_id {
        let id = assertion::verify(application, endpoint, &jwt).map_err(Refusal::client)?;
        let is_new = lock(&cloud.world).assertions.insert(id);
        return if is_new { Ok(()) } else { Err(Refusal::client(700_027)) };
    }
    let of_issuer: Vec<_> = application.federations.iter().filter(|federation| federation.issuer == issuer).collect();
    let of_subject: Vec<_> = of_issuer.iter().filter(|federation| federation.subject == subject).collect();
    let trusted = of_subject.iter().find(|federation| jwt.claims.is_for(&federation.audience));
    match trusted {
        Some(_) if jwt.claims.time("exp").is_none() => Err(Refusal::client(700_024)),
        Some(federation) => match federation.keys.verify(text).await {
            Ok(_) => Ok(()),
            Err(Wrong::Early | Wrong::Expired) => Err(Refusal::client(700_024)),
            Err(_) => Err(Refusal::client(50013)),
        },
        None if of_issuer.is_empty() => Err(Refusal::client(700_211)),
        None if of_subject.is_empty() => Err(Refusal::client(700_213)),
        None => Err(Refusal::client(700_212)),
    }
}

fn form(headers: &HeaderMap, body: &[u8]) -> Option<BTreeMap<String, String>> {
    let pairs = pairs(std::str::from_utf8(body).ok()?)?;
    is_of(headers, "application/x-www-form-urlencoded").then(|| pairs.into_iter().collect())
}
