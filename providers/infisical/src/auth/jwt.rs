//! JSON Web Tokens: their form, and signing them.

use aws_lc_rs::{error::Unspecified, rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyferry_core::SecretBytes;
use serde_json::Value;

/// Whether `text` has the form of a signed token: three parts of base64url, the first two of them JSON.
pub(super) fn is_token(text: &[u8]) -> bool {
    let parts: Vec<_> = text.split(|byte| *byte == b'.').map(|part| URL_SAFE_NO_PAD.decode(part)).collect();
    let object = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.is_object());
    matches!(&parts[..], [Ok(header), Ok(claims), Ok(signature)]
        if object(header) && object(claims) && !signature.is_empty())
}

/// A token with these claims, signed with RS256.
pub(super) fn sign(key: &KeyPair, key_id: &str, claims: &Value) -> Result<SecretBytes, Unspecified> {
    let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": key_id});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = signature(key, signed.as_bytes())?;
    Ok(SecretBytes::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// The RSA-SHA256 signature of `message`.
pub(super) fn signature(key: &KeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, PublicKeyX509Der},
        rsa::{KeyPair, KeySize},
        signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{is_token, sign};

    #[test]
    fn a_signed_token_carries_its_claims_and_a_signature_over_them() {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let token = sign(&key, "k1", &json!({"sub": "me"})).expect("a token");
        assert!(is_token(token.expose()));
        let (signed, signature) = token.expose_str().expect("text").rsplit_once('.').expect("three parts");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref().to_vec());
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
        let (header, claims) = signed.split_once('.').expect("two parts");
        let json =
            |part| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON") };
        assert_eq!(json(header), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        assert_eq!(json(claims), json!({"sub": "me"}));
    }

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
