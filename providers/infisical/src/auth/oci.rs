//! A request that Oracle Cloud can tell who signed it. It is not sent there but to Infisical, which sends it on.

use aws_lc_rs::rsa::KeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use keyferry_core::{Result, SecretBytes};
use serde_json::{Value, json};

use super::{jwt, text::Text};
use crate::config::invalid;

#[derive(Debug)]
pub(super) struct Oci {
    pub(super) key: KeyPair,
    pub(super) fingerprint: Text,
    pub(super) user: Text,
    pub(super) tenancy: Text,
    pub(super) region: Text,
}

impl Oci {
    /// The body of the login: the signed headers of "who is this user?".
    pub(super) fn body(&self, identity: &Text, now: Timestamp) -> Result<Value> {
        let [fingerprint, user, tenancy, region] =
            [&self.fingerprint, &self.user, &self.tenancy, &self.region].map(Text::as_str);
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let host = format!("identity.{region}.oraclecloud.com");
        let message = format!("date: {date}\n(request-target): get /20160918/users/{user}\nhost: {host}");
        let signature = jwt::signature(&self.key, message.as_bytes())
            .map_err(|_| invalid("auth.ociAuthCredentials.privateKey cannot sign"))?;
        let authorization = format!(
            "Signature version=\"1\",headers=\"date (request-target) host\",keyId=\"{tenancy}/{user}/{fingerprint}\",\
             algorithm=\"rsa-sha256\",signature=\"{}\"",
            STANDARD.encode(signature)
        );
        Ok(json!({
            "identityId": identity.as_str(),
            "userOcid": user,
            "headers": {"authorization": authorization, "date": date, "host": host},
        }))
    }
}

/// An id that becomes part of a header and a path.
pub(super) fn word(value: &SecretBytes, field: &str) -> Result<Text> {
    let text = Text::parse(value, &format!("ociAuthCredentials.{field}"))?;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if text.as_str().bytes().all(harmless) {
        return Ok(text);
    }
    let what =
        if field == "fingerprint" { "a fingerprint like 12:34:ab:…" } else { "an OCID like ocid1.user.oc1..…" };
    Err(invalid(format!("the value that auth.ociAuthCredentials.{field} refers to is not {what}")))
}

/// A region, which becomes part of a host name.
pub(super) fn region(value: &SecretBytes) -> Result<Text> {
    let text = Text::parse(value, "ociAuthCredentials.region")?;
    let parts: Vec<_> = text.as_str().split('-').collect();
    let lower = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts[..] {
        [continent, place, number] if lower(continent) && lower(place) && number.parse::<u8>().is_ok() => Ok(text),
        _ => Err(invalid(
            "the value that auth.ociAuthCredentials.region refers to is not a region's identifier like eu-frankfurt-1",
        )),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, PublicKeyX509Der},
        rsa::{KeyPair, KeySize},
        signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    use jiff::Timestamp;
    use keyferry_core::SecretBytes;

    use super::{Oci, Text, region, word};

    fn text(value: &str) -> Text {
        Text::parse(&SecretBytes::from(value), "x").expect("text")
    }

    #[test]
    fn date_target_and_host_are_signed_in_oracles_form() {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref().to_vec());
        let oci = Oci {
            key,
            fingerprint: text("20:3b:97"),
            user: text("ocid1.user.oc1..u"),
            tenancy: text("ocid1.tenancy.oc1..t"),
            region: text("eu-frankfurt-1"),
        };
        let now: Timestamp = "2014-01-05T21:31:40Z".parse().expect("a time");
        let body = oci.body(&text("id"), now).expect("a signature");
        assert_eq!((&body["identityId"], &body["userOcid"]), (&"id".into(), &"ocid1.user.oc1..u".into()));
        let headers = &body["headers"];
        assert_eq!(headers["date"], "Sun, 05 Jan 2014 21:31:40 GMT");
        assert_eq!(headers["host"], "identity.eu-frankfurt-1.oraclecloud.com");
        let authorization = headers["authorization"].as_str().expect("text");
        let (start, signature) = authorization.split_once(",signature=\"").expect("a signature");
        assert_eq!(
            start,
            "Signature version=\"1\",headers=\"date (request-target) host\",\
             keyId=\"ocid1.tenancy.oc1..t/ocid1.user.oc1..u/20:3b:97\",algorithm=\"rsa-sha256\""
        );
        let signature = STANDARD.decode(signature.trim_end_matches('"')).expect("base64");
        let signed = "date: Sun, 05 Jan 2014 21:31:40 GMT\n(request-target): get /20160918/users/ocid1.user.oc1..u\n\
                      host: identity.eu-frankfurt-1.oraclecloud.com";
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn ids_and_regions_that_would_change_the_request_are_refused() {
        let message = |result: keyferry_core::Result<Text>| result.expect_err("refused").message;
        let start = "the value that auth.ociAuthCredentials.";
        assert_eq!(
            message(word(&"ocid1/../hunter2".into(), "userId")),
            format!("{start}userId refers to is not an OCID like ocid1.user.oc1..…")
        );
        assert_eq!(
            message(word(&"20:3b\",x=\"".into(), "fingerprint")),
            format!("{start}fingerprint refers to is not a fingerprint like 12:34:ab:…")
        );
        for wrong in ["Frankfurt", "eu-frankfurt-1.evil.example/", "eu--1", "eu-frankfurt-x"] {
            assert!(message(region(&wrong.into())).starts_with(&format!("{start}region refers to is not a region's")));
        }
        assert!(region(&"us-phoenix-1".into()).is_ok());
    }
}
