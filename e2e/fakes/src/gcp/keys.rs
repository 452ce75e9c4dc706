//! Keys of service accounts and of those who issue tokens elsewhere.

use std::path::PathBuf;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::jwt;

/// How tokens of an issuer are verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Keys {
    /// With the keys at this URL, for example those of an API server: `https://…/openid/v1/jwks`.
    #[serde(rename_all = "camelCase")]
    Jwks {
        /// PEM file of the authority that signed the server's certificate.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        /// The address.
        url: String,
    },
    /// With this RSA public key in PEM.
    Pem(String),
}

/// A pair of keys, the private one for its owner, the public one to verify.
pub(super) struct Pair {
    pub(super) private: String,
    pub(super) public: String,
}

/// A new RSA key, both halves in PEM; `None` if this machine has no randomness.
pub(super) fn generate() -> Option<Pair> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some(Pair { private: pem("PRIVATE KEY", private.as_ref()), public: pem("PUBLIC KEY", public.as_ref()) })
}

impl Keys {
    /// The claims of `token`, if one of these keys has signed it and it holds now; otherwise what is wrong.
    pub(crate) async fn verify(&self, token: &str) -> Result<Map<String, Value>, &'static str> {
        let claims = jwt::claims(token).ok_or("it is no JWT")?;
        let (message, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "it is no JWT")?;
        let is_signed = match self {
            Self::Pem(key) => is_signed_with(key, message.as_bytes(), &signature),
            Self::Jwks { ca_file, url } => {
                let keys = fetch(url, ca_file.as_ref()).await.map_err(|_| "the issuer's keys cannot be read")?;
                let kid = jwt::header(token).and_then(|header| header.get("kid")?.as_str().map(str::to_owned));
                let keys = keys["keys"].as_array().into_iter().flatten();
                keys.filter(|key| key["kid"].as_str() == kid.as_deref())
                    .any(|key| is_signed_with_jwk(key, message.as_bytes(), &signature).unwrap_or_default())
            }
        };
        if !is_signed {
            Err("its signature does not match")
        } else if jwt::has_expired(&claims) {
            Err("it has expired")
        } else {
            Ok(claims)
        }
    }
}

fn is_signed_with(pem: &str, message: &[u8], signature: &[u8]) -> bool {
    SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).is_ok_and(|key| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref()).verify(message, signature).is_ok()
    })
}

fn is_signed_with_jwk(key: &Value, message: &[u8], signature: &[u8]) -> Option<bool> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
    let verified = match key["kty"].as_str()? {
        "RSA" => {
            let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
        }
        "EC" if key["crv"] == "P-256" => {
            // The uncompressed form of a point.
            let key = [vec![4], part("x")?, part("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
        }
        _ => return None,
    };
    Some(verified.is_ok())
}

async fn fetch(url: &str, ca_file: Option<&PathBuf>) -> anyhow::Result<Value> {
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(file) = ca_file {
        let pem = tokio::fs::read(file).await?;
        client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    Ok(client.build()?.get(url).send().await?.error_for_status()?.json().await?)
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{RSA_PKCS1_SHA256, RsaKeyPair},
    };
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
    use serde_json::{Value, json};

    use super::{Keys, generate};

    /// A token that the owner of `key` (PEM) signs.
    pub(in crate::gcp) fn sign(key: &str, claims: &Value) -> String {
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": "RS256", "kid": "k"})), part(claims));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[tokio::test]
    async fn only_tokens_of_the_owner_that_still_hold_are_accepted() {
        let (owner, other) = (generate().expect("a key"), generate().expect("a key"));
        let keys = Keys::Pem(owner.public);
        let claims = json!({"sub": "me", "exp": 4_000_000_000_u64});
        assert_eq!(keys.verify(&sign(&owner.private, &claims)).await.map(|claims| claims["sub"] == "me"), Ok(true));
        assert_eq!(keys.verify(&sign(&other.private, &claims)).await, Err("its signature does not match"));
        assert_eq!(keys.verify(&sign(&owner.private, &json!({"exp": 1}))).await, Err("it has expired"));
        assert_eq!(keys.verify("a.b").await, Err("it is no JWT"));
    }
}
