//! Keys of those who issue tokens.

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::jwt::{Jwt, Members};

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

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Early,
    Expired,
    Form,
    /// The keys cannot be read.
    Keys,
    Signature,
}

impl Keys {
    /// The claims of `token`, if one of these keys has signed it and it holds now.
    pub(crate) async fn verify(&self, token: &str) -> Result<Members, Wrong> {
        let jwt = Jwt::parse(token).ok_or(Wrong::Form)?;
        let is_signed = match self {
            Self::Pem(key) => jwt.header.text("alg") == "RS256" && is_signed(key, jwt.message, &jwt.signature),
            Self::Jwks { ca_file, url } => {
                let keys = fetch(url, ca_file.as_deref()).await.map_err(|_| Wrong::Keys)?;
                let keys = keys["keys"].as_array().into_iter().flatten();
                let mut named = keys.filter(|key| key["kid"].as_str() == Some(jwt.header.text("kid")));
                named.any(|key| is_signed_with_jwk(key, &jwt).unwrap_or_default())
            }
        };
        if !is_signed {
            Err(Wrong::Signature)
        } else if jwt.claims.has_expired() {
            Err(Wrong::Expired)
        } else if jwt.claims.is_early() {
            Err(Wrong::Early)
        } else {
            Ok(jwt.claims)
        }
    }
}

/// Whether the owner of the RSA public key `pem` has signed `message` with SHA-256.
pub(crate) fn is_signed(pem: &str, message: &str, signature: &[u8]) -> bool {
    SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).is_ok_and(|key| {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref());
        key.verify(message.as_bytes(), signature).is_ok()
    })
}

fn is_signed_with_jwk(key: &Value, jwt: &Jwt<'_>) -> Option<bool> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
    let message = jwt.message.as_bytes();
    let verified = match (key["kty"].as_str()?, jwt.header.text("alg")) {
        ("RSA", "RS256") => {
            let key = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, &jwt.signature)
        }
        ("EC", "ES256") if key["crv"] == "P-256" => {
            // The uncompressed form of a point.
            let key = [vec![4], part("x")?, part("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, &jwt.signature)
        }
        _ => return None,
    };
    Some(verified.is_ok())
}

async fn fetch(url: &str, ca_file: Option<&Path>) -> anyhow::Result<Value> {
    Ok(client(ca_file).await?.get(url).send().await?.error_for_status()?.json().await?)
}

/// A client that trusts the authority in this PEM file; without one those of the system.
pub(crate) async fn client(ca_file: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(file) = ca_file {
        let pem = tokio::fs::read(file).await?;
        client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    Ok(client.build()?)
}

/// Somebody who signs tokens, for tests of those who believe it.
#[derive(Debug)]
pub struct Issuer {
    key: RsaKeyPair,
    private: String,
    public: String,
}

impl Default for Issuer {
    /// An issuer with a new RSA key.
    ///
    /// # Panics
    /// Without randomness.
    fn default() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("randomness");
        let private: Pkcs8V1Der<'_> = key.as_der().expect("a key has a form");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a key has a form");
        let (private, public) = (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()));
        Self { key, private, public }
    }
}

impl Issuer {
    /// How its tokens are verified.
    pub fn keys(&self) -> Keys {
        Keys::Pem(self.public.clone())
    }

    /// Its private key in PEM.
    pub fn private_pem(&self) -> &str {
        &self.private
    }

    /// Its public key in PEM.
    pub fn public_pem(&self) -> &str {
        &self.public
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "RS256", "kid": "k", "typ": "JWT"}), claims)
    }

    /// A token that says this of itself, signed with RS256 whatever it says.
    ///
    /// # Panics
    /// Without randomness.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.expect("randomness");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Issuer, Wrong};

    #[tokio::test]
    async fn only_tokens_of_the_owner_that_hold_now_are_accepted() {
        let (owner, other) = (Issuer::default(), Issuer::default());
        let keys = owner.keys();
        let claims = json!({"sub": "me", "exp": 4_000_000_000_u64});
        let verify = async |token: String| keys.verify(&token).await.map(|claims| claims.text("sub").to_owned());
        assert_eq!(verify(owner.sign(&claims)).await, Ok("me".to_owned()));
        assert_eq!(verify(other.sign(&claims)).await, Err(Wrong::Signature));
        assert_eq!(verify(owner.sign_with(&json!({"alg": "HS256"}), &claims)).await, Err(Wrong::Signature));
        assert_eq!(verify(owner.sign(&json!({"exp": 1}))).await, Err(Wrong::Expired));
        assert_eq!(verify(owner.sign(&json!({"nbf": 4_000_000_000_u64}))).await, Err(Wrong::Early));
        assert_eq!(verify("a.b".to_owned()).await, Err(Wrong::Form));
    }
}
