//! JSON Web Tokens: their form, and the signature that Oracle shares with them.

use aws_lc_rs::{error::Unspecified, rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Whether `text` has the form of a signed token: three parts of base64url, the first two of them JSON.
pub(super) fn is_token(text: &[u8]) -> bool {
    let parts: Vec<_> = text.split(|byte| *byte == b'.').map(|part| URL_SAFE_NO_PAD.decode(part)).collect();
    let object = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.is_object());
    matches!(&parts[..], [Ok(header), Ok(claims), Ok(signature)]
        if object(header) && object(claims) && !signature.is_empty())
}

/// The RSA-SHA256 signature of `message`.
pub(super) fn signature(key: &KeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::is_token;

    #[test]
    fn other_files_are_no_tokens() {
        for text in
            ["", "hunter2", "a.b.c", "-----BEGIN PRIVATE KEY-----\nMIIE", "e30.e30.", "e30.e30.c2ln\n", "W10.e30.c2ln"]
        {
            assert!(!is_token(text.as_bytes()), "{text}");
        }
        assert!(is_token(b"e30.e30.c2ln"));
    }
}
