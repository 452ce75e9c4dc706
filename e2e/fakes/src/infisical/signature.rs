//! Signatures of RSA keys, alone and in tokens.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Map, Value};

use crate::jwt;

/// Whether the owner of `key` (PEM) has signed `message` with RSA-SHA256.
pub(super) fn holds(key: &str, message: &[u8], signature: &[u8]) -> bool {
    SubjectPublicKeyInfoDer::from_pem_slice(key.as_bytes()).is_ok_and(|key| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref()).verify(message, signature).is_ok()
    })
}

/// The claims of a token that the owner of `key` has signed and that has not expired; otherwise what is wrong.
pub(super) fn claims(token: &str, key: &str) -> Result<Map<String, Value>, &'static str> {
    let claims = jwt::claims(token).ok_or("jwt malformed")?;
    let (signed, signature) = token.rsplit_once('.').ok_or("jwt malformed")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "jwt malformed")?;
    if !holds(key, signed.as_bytes(), &signature) {
        Err("invalid signature")
    } else if jwt::has_expired(&claims) {
        Err("jwt expired")
    } else {
        Ok(claims)
    }
}
