//! What Key Vault's refusals mean.
//!
//! Their texts are not taken over. What decides is the status, the code and the inner code.

use std::collections::BTreeMap;

use keyferry_core::{Error, ErrorKind};
use keyferry_rest::Answer;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{auth::AzureLogin, transport::Asked};

#[derive(Default, Deserialize)]
struct Body {
    error: Refused,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    code: String,
    #[serde(default, rename = "innererror")]
    inner: Option<Inner>,
}

#[derive(Default, Deserialize)]
struct Inner {
    #[serde(default)]
    code: String,
}

/// How Key Vault says that there is no such object, or no such version of it.
const NOT_FOUND: [&str; 3] = ["CertificateNotFound", "KeyNotFound", "SecretNotFound"];

/// Why `answer` is no answer to what was `asked`, if it is none.
pub(crate) fn of(answer: &Answer, asked: &Asked, login: &AzureLogin) -> Option<Error> {
    let about = &asked.about;
    if answer.is_success() {
        return match answer.json::<BTreeMap<String, &RawValue>>() {
            Ok(members) if members.contains_key(asked.member) => None,
            Ok(_) if asked.member == "cer" => {
                let text = format!("the {about} holds no certificate yet; wait until it is issued");
                Some(answer.error(ErrorKind::Malformed, text))
            }
            Ok(_) => Some(
                answer.error(ErrorKind::Malformed, format!("the answer about the {about} lacks what it should hold")),
            ),
            Err(error) => Some(error),
        };
    }
    let refused = answer.hint::<Body>().unwrap_or_default().error;
    let inner = refused.inner.unwrap_or_default().code;
    let (kind, text) = match answer.status() {
        400 => (
            ErrorKind::InvalidConfig,
            format!("Key Vault does not accept the request for the {about}; check key and version"),
        ),
        401 => unauthenticated(answer.header("www-authenticate").unwrap_or_default(), login),
        403 => (ErrorKind::AccessDenied, denied(&inner, asked)),
        // Whatever else answers at a wrong address says 404 too, and a wrong address must not delete a secret.
        404 if NOT_FOUND.contains(&refused.code.as_str()) => (ErrorKind::NotFound, format!("there is no {about}")),
        404 => (
            ErrorKind::InvalidConfig,
            format!("what answers about the {about} is no Key Vault; check that vaultUrl is the vault's address"),
        ),
        _ => return Some(answer.refusal()),
    };
    Some(answer.error(kind, text))
}

fn denied(inner: &str, asked: &Asked) -> String {
    let Asked { about, role, .. } = asked;
    match inner {
        "AccessDenied" => {
            format!("the vault's access policies do not let the login read the {about}; let it get and list")
        }
        "ForbiddenByConnection" | "ForbiddenByFirewall" => {
            "the vault's firewall does not let the operator in; allow its network or a private endpoint".into()
        }
        "ForbiddenByRbac" => format!("the login may not read the {about}; assign it the role {role} on the vault"),
        // Not `NotFound`, which deletes targets: it may be enabled again.
        disabled if disabled.ends_with("Disabled") => format!("the {about} is disabled; enable it in the vault"),
        expired if expired.ends_with("Expired") => format!("the {about} has expired; renew it in the vault"),
        early if early.ends_with("NotYetValid") => format!("the {about} is not valid yet; see its activation date"),
        _ => format!("the login may not read the {about}; assign it the role {role} on the vault"),
    }
}

/// The vault says with 401 which tokens it would accept.
fn unauthenticated(challenge: &str, login: &AzureLogin) -> (ErrorKind, String) {
    let audience = login.audience();
    let wants = |name: &str| parameter(challenge, name);
    let wanted = wants("resource").or_else(|| Some(wants("scope")?.trim_end_matches("/.default")));
    if wanted.is_some_and(|wanted| !wanted.trim_end_matches('/').eq_ignore_ascii_case(audience)) {
        let text = "the vault does not accept logins of this cloud; check environmentType and customCloudConfig";
        return (ErrorKind::InvalidConfig, text.into());
    }
    let tenant = wants("authorization").and_then(|url| url.trim_end_matches('/').rsplit('/').next());
    let is_other = |(own, of_vault): (&str, &str)| {
        // A tenant may also be called by one of its domains.
        is_id(own) && is_id(of_vault) && !own.eq_ignore_ascii_case(of_vault)
    };
    if login.tenant().zip(tenant).is_some_and(is_other) {
        return (ErrorKind::InvalidConfig, "the vault belongs to another tenant than the login; check tenantId".into());
    }
    (ErrorKind::Unauthenticated, "Key Vault did not accept the login".into())
}

fn is_id(tenant: &str) -> bool {
    tenant.len() == 36 && tenant.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A parameter of `Bearer authorization="…", resource="…"`.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let parameters = challenge.strip_prefix("Bearer ")?.split(',');
    parameters
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then(|| value.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::{denied, is_id, parameter};
    use crate::transport::Asked;

    #[test]
    fn a_challenge_is_taken_apart() {
        let challenge = r#"Bearer authorization="https://login.windows.net/t", resource="https://vault.azure.net""#;
        assert_eq!(parameter(challenge, "authorization"), Some("https://login.windows.net/t"));
        assert_eq!(parameter(challenge, "resource"), Some("https://vault.azure.net"));
        assert_eq!(parameter(challenge, "scope"), None);
        assert_eq!(parameter("Basic realm=a", "realm"), None);
    }

    #[test]
    fn a_tenants_id_is_told_from_its_domain() {
        assert!(is_id("00000000-aaaa-BBBB-0000-000000000000"));
        assert!(!is_id("contoso.onmicrosoft.com") && !is_id(""));
    }

    #[test]
    fn each_reason_for_a_403_has_its_remedy() {
        let asked =
            Asked { about: "secret a".into(), member: "value", operation: "GetSecret", role: "Key Vault Secrets User" };
        for (inner, expected) in [
            ("AccessDenied", "the vault's access policies do not let the login read the secret a; let it get"),
            ("ForbiddenByConnection", "the vault's firewall does not let the operator in; allow its network"),
            ("ForbiddenByFirewall", "the vault's firewall does not let the operator in; allow its network"),
            ("ForbiddenByRbac", "the login may not read the secret a; assign it the role Key Vault Secrets User"),
            ("SecretDisabled", "the secret a is disabled; enable it in the vault"),
            ("KeyExpired", "the secret a has expired; renew it"),
            ("SecretNotYetValid", "the secret a is not valid yet"),
            ("", "the login may not read the secret a; assign it the role Key Vault Secrets User"),
        ] {
            assert!(denied(inner, &asked).starts_with(expected), "{inner}");
        }
    }
}
