//! Checks that the headers of a request to Oracle Cloud are signed by a user's API key (HTTP Signatures).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::refusal::Refusal;
use crate::keys::is_signed;

const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The API key of the user who must have signed.
pub(super) struct ApiKey<'a> {
    pub(super) tenancy: &'a str,
    pub(super) user: &'a str,
    pub(super) fingerprint: &'a str,
    pub(super) key: &'a str,
}

/// Whether `headers` are those of "who is this user?", asked by the user just now.
pub(super) fn verify(headers: &BTreeMap<String, String>, owner: &ApiKey<'_>, now: Timestamp) -> Result<(), Refusal> {
    if !headers.get("host").is_some_and(|host| is_identity_host(host)) {
        let message = "Invalid OCI host format. Expected format: identity.<region>.oraclecloud.com";
        return Err(Refusal::bad_request(message));
    }
    // What Oracle's cloud refuses is a failure of the server.
    check_signature(headers, owner, now).map_err(|_| Refusal::of(StatusCode::INTERNAL_SERVER_ERROR))
}

fn check_signature(headers: &BTreeMap<String, String>, owner: &ApiKey<'_>, now: Timestamp) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).map(String::as_str).ok_or("a header is missing");
    let fields = header("authorization")?.strip_prefix("Signature ").ok_or("another scheme")?;
    let fields: BTreeMap<_, _> = fields.split(',').filter_map(|field| field.split_once('=')).collect();
    let field = |name: &str| fields.get(name).map(|value| value.trim_matches('"')).ok_or("a part is missing");
    let ApiKey { tenancy, user, fingerprint, key } = owner;
    if field("keyId")? != format!("{tenancy}/{user}/{fingerprint}") || field("algorithm")? != "rsa-sha256" {
        return Err("unknown key");
    }
    let date = rfc2822::parse(header("date")?).map_err(|_| "no date")?;
    if date.timestamp().duration_since(now).abs() > SKEW {
        return Err("the date is too far from the present");
    }
    let names: Vec<_> = field("headers")?.split(' ').collect();
    if !["(request-target)", "date", "host"].iter().all(|name| names.contains(name)) {
        return Err("target, date and host must be signed");
    }
    let mut lines = Vec::new();
    for name in names {
        lines.push(match name {
            "(request-target)" => format!("(request-target): get /20160918/users/{user}"),
            name => format!("{name}: {}", header(name)?),
        });
    }
    // The value itself may end in `=`, so that what the parts were cut at is not lost.
    let signature = STANDARD.decode(field("signature")?).map_err(|_| "no signature")?;
    is_signed(key, &lines.join("\n"), &signature).then_some(()).ok_or("the signature does not match")
}

fn is_identity_host(host: &str) -> bool {
    let region = host.strip_prefix("identity.").and_then(|rest| rest.strip_suffix(".oraclecloud.com"));
    let region: Vec<_> = region.unwrap_or_default().split('-').collect();
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(region[..], [continent, place, number]
        if continent.len() == 2 && letters(continent) && letters(place) && number.len() == 1
            && number.bytes().all(|byte| matches!(byte, b'1'..=b'9')))
}

#[cfg(test)]
mod tests {
    use super::is_identity_host;

    #[test]
    fn only_hosts_of_oracle_are_asked() {
        assert!(is_identity_host("identity.eu-frankfurt-1.oraclecloud.com"));
        for host in
            ["identity.evil.example", "identity.eu-x-1.oraclecloud.com.evil.example", "x.eu-x-1.oraclecloud.com"]
        {
            assert!(!is_identity_host(host), "{host}");
        }
    }
}
