//! Assertions that applications sign with the key of their certificate.

use aws_lc_rs::{
    digest,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::Application;
use crate::jwt;

/// How wrong a client's clock may be, in seconds.
const SKEW: i64 = 300;

const EXPIRED: u32 = 700_024;
const UNKNOWN_SIGNATURE: u32 = 700_027;

/// The id of the assertion `text`, if `application` has signed it for `endpoint`; otherwise Entra ID's number for what
/// is wrong.
pub(super) fn verify(application: &Application, endpoint: &str, text: &str) -> Result<String, u32> {
    let (header, claims) = jwt::header(text).zip(jwt::claims(text)).ok_or(50027_u32)?;
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    let stated = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = match stated("alg") {
        Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
        Some("PS256") => &RSA_PSS_2048_8192_SHA256,
        _ => return Err(UNKNOWN_SIGNATURE),
    };
    let thumbprints = [("x5t", &digest::SHA1_FOR_LEGACY_USE_ONLY), ("x5t#S256", &digest::SHA256)];
    let named: Vec<_> = thumbprints.into_iter().filter_map(|(name, hash)| Some((stated(name)?, hash))).collect();
    let is_named = |der: &CertificateDer<'_>| {
        let matches = |(stated, hash): &(&str, &'static digest::Algorithm)| {
            URL_SAFE_NO_PAD.encode(digest::digest(hash, der)) == *stated
        };
        !named.is_empty() && named.iter().all(matches)
    };
    let certificates =
        application.certificates.iter().filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
    let certificate = certificates.into_iter().find(is_named).ok_or(UNKNOWN_SIGNATURE)?;
    check_signature(&certificate, algorithm, text).ok_or(UNKNOWN_SIGNATURE)?;
    if claim("sub") != application.client_id {
        return Err(700_021);
    }
    if claim("aud") != endpoint {
        return Err(700_023);
    }
    let now = Timestamp::now().as_second();
    let (Some(from), Some(to)) = (time("nbf"), time("exp")) else { return Err(EXPIRED) };
    if now + SKEW < from || to + SKEW < now || to <= from {
        return Err(EXPIRED);
    }
    Some(claim("jti")).filter(|id| !id.is_empty()).map(str::to_owned).ok_or(50027)
}

fn check_signature(der: &CertificateDer<'_>, algorithm: &'static RsaParameters, text: &str) -> Option<()> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    if !certificate.validity().is_valid() {
        return None;
    }
    let (message, signature) = text.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = UnparsedPublicKey::new(algorithm, certificate.public_key().raw);
    key.verify(message.as_bytes(), &signature).ok()
}
