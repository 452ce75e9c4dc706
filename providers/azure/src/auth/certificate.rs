//! The certificate of an application, with which it signs who it is.

use std::fmt;

use aws_lc_rs::{
    digest,
    rand::{self, SystemRandom},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::OPERATION;
use crate::{PROVIDER, config::invalid};

/// A certificate and its key.
pub(super) struct ClientCertificate {
    key: RsaKeyPair,
    not_after: i64,
    not_before: i64,
    /// By which Entra ID finds the certificate.
    sha1: String,
    sha256: String,
}

/// Long enough for a slow network and clocks that differ.
const ASSERTION_LIFE: i64 = 600;

impl ClientCertificate {
    /// Reads certificate and key from one PEM text, in any order; certificates of other keys, such as the issuers',
    /// play no part.
    pub(super) fn parse(pem: &SecretBytes) -> std::result::Result<Self, &'static str> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.expose())
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| "is not well-formed PEM")?;
        if certificates.is_empty() {
            return Err("holds no certificate in PEM form; convert a PKCS#12 file with openssl pkcs12 -nodes");
        }
        let key = match PrivateKeyDer::from_pem_slice(pem.expose()) {
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(_) => return Err("holds a key that is not RSA, which Entra ID does not accept"),
            Err(_) => return Err("holds no private key in PEM form without a password beside the certificate"),
        };
        let key = key.map_err(|_| "holds a private key that is not RSA of at least 2048 bits, as Entra ID wants it")?;
        for der in &certificates {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "holds a broken certificate")?;
            if certificate.public_key().subject_public_key.data.as_ref() == key.public_key().as_ref() {
                let validity = certificate.validity();
                return Ok(Self {
                    not_after: validity.not_after.timestamp(),
                    not_before: validity.not_before.timestamp(),
                    sha1: thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY, der),
                    sha256: thumbprint(&digest::SHA256, der),
                    key,
                });
            }
        }
        Err("the certificate and the private key do not belong together")
    }

    /// A signed text that says to `audience`: I am the application `client_id`.
    pub(super) fn assertion(&self, client_id: &str, audience: &str) -> Result<SecretBytes> {
        let now = Timestamp::now().as_second();
        self.check(now)?;
        let mut id = [0; 16];
        let failed = || Error::new(ErrorKind::Unavailable, PROVIDER, OPERATION, "the login cannot be signed");
        rand::fill(&mut id).map_err(|_| failed())?;
        // The older algorithm and thumbprint are the ones that every cloud and AD FS know.
        let header = json!({"alg": "RS256", "typ": "JWT", "x5t": self.sha1, "x5t#S256": self.sha256});
        let claims = json!({
            "aud": audience,
            "exp": now + ASSERTION_LIFE,
            "iat": now,
            "iss": client_id,
            "jti": URL_SAFE_NO_PAD.encode(id),
            "nbf": now,
            "sub": client_id,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| failed())?;
        Ok(SecretBytes::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// Entra ID says of an outdated certificate only that it does not know the application.
    fn check(&self, now: i64) -> Result<()> {
        if now > self.not_after {
            let text = "authSecretRef.clientCertificate: the certificate has expired; make a new one, and upload it to \
                        the application";
            return Err(invalid(OPERATION, text));
        }
        if now < self.not_before {
            let text = "authSecretRef.clientCertificate: the certificate is not valid yet; check the clock";
            return Err(Error::new(ErrorKind::Unauthenticated, PROVIDER, OPERATION, text));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

fn thumbprint(algorithm: &'static digest::Algorithm, der: &CertificateDer<'_>) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
    };
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use keyferry_core::{ErrorKind, SecretBytes};
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, date_time_ymd};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use serde_json::Value;

    use super::ClientCertificate;

    fn rsa_key() -> KeyPair {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let der = PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).unwrap()
    }

    fn certificate(key: &KeyPair, years: (i32, i32)) -> String {
        let mut params = CertificateParams::new(vec![]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        params.self_signed(key).unwrap().pem()
    }

    fn parse(parts: &[String]) -> Result<ClientCertificate, &'static str> {
        ClientCertificate::parse(&SecretBytes::from(parts.concat()))
    }

    #[test]
    fn the_assertion_says_who_it_is_and_is_signed() {
        let (key, issuer) = (rsa_key(), rsa_key());
        let pem = [certificate(&issuer, (2020, 4000)), certificate(&key, (2020, 4000)), key.serialize_pem()];
        let parsed = parse(&pem).unwrap();
        let assertion = parsed.assertion("client", "https://login/token").unwrap();
        let text = assertion.expose_str().unwrap();
        let (message, signature) = text.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key_raw());
        public.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let part = |index: usize| -> Value {
            let part = text.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!((&part(0)["alg"], &part(0)["x5t#S256"]), (&"RS256".into(), &parsed.sha256.as_str().into()));
        let claims = part(1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&"client".into(), &"client".into(), &"https://login/token".into())
        );
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 600);
        let other = parsed.assertion("client", "https://login/token").unwrap();
        assert_ne!(other, assertion, "each has its own id");
        assert!(!format!("{parsed:?}").contains(&parsed.sha1));
    }

    #[test]
    fn a_certificate_out_of_its_time_is_told() {
        let key = rsa_key();
        let told =
            |years| parse(&[certificate(&key, years), key.serialize_pem()]).unwrap().assertion("c", "a").unwrap_err();
        let expired = told((2000, 2001));
        assert_eq!(expired.kind, ErrorKind::InvalidConfig);
        assert!(
            expired.message.starts_with("authSecretRef.clientCertificate: the certificate has expired; make a new")
        );
        let early = told((3000, 4000));
        assert_eq!(early.kind, ErrorKind::Unauthenticated);
        assert!(early.message.contains("is not valid yet"));
    }

    #[test]
    fn what_cannot_sign_is_told() {
        let (key, other) = (rsa_key(), rsa_key());
        let elliptic = KeyPair::generate().unwrap();
        let valid = certificate(&key, (2020, 4000));
        let broken = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n".to_owned();
        let locked = key.serialize_pem().replace("PRIVATE", "ENCRYPTED PRIVATE");
        for (parts, expected) in [
            (vec!["hunter2".to_owned()], "holds no certificate in PEM form"),
            (vec![valid[..valid.len() / 2].to_owned()], "is not well-formed PEM"),
            (vec![valid.clone()], "holds no private key"),
            (vec![valid.clone(), locked], "holds no private key"),
            (vec![valid.clone(), elliptic.serialize_pem()], "holds a private key that is not RSA"),
            (vec![broken, key.serialize_pem()], "holds a broken certificate"),
            (vec![valid, other.serialize_pem()], "the certificate and the private key do not belong together"),
        ] {
            let error = parse(&parts).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn an_rsa_key_may_also_be_in_its_older_form() {
        let key = rsa_key();
        let pkcs8 = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        // The older form is what the newer one holds behind its header of 26 bytes.
        let pkcs1 = base64::engine::general_purpose::STANDARD.encode(&key.serialize_der()[26..]);
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{pkcs1}\n-----END RSA PRIVATE KEY-----\n");
        let parsed = parse(&[certificate(&key, (2020, 4000)), pem]).unwrap();
        assert_eq!(parsed.key.public_modulus_len(), pkcs8.public_modulus_len());
    }
}
