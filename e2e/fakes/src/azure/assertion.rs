//! Assertions that applications sign with the key of their certificate.

use aws_lc_rs::{
    digest,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::Application;
use crate::jwt::{Jwt, SKEW};

const EXPIRED: u32 = 700_024;
const UNKNOWN_SIGNATURE: u32 = 700_027;

/// The id of `assertion`, if `application` has signed it for `endpoint`; otherwise Entra ID's number for what is wrong.
pub(super) fn verify(application: &Application, endpoint: &str, assertion: &Jwt<'_>) -> Result<String, u32> {
    let Jwt { header, claims, .. } = assertion;
    let algorithm = match header.text("alg") {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        _ => return Err(UNKNOWN_SIGNATURE),
    };
    let thumbprints = [("x5t", &digest::SHA1_FOR_LEGACY_USE_ONLY), ("x5t#S256", &digest::SHA256)];
    let named = thumbprints.map(|(name, hash)| (header.text(name), hash));
    let named: Vec<_> = named.into_iter().filter(|(thumbprint, _)| !thumbprint.is_empty()).collect();
    let is_named = |der: &CertificateDer<'_>| {
        let matches = |(thumbprint, hash): &(&str, &'static digest::Algorithm)| {
            URL_SAFE_NO_PAD.encode(digest::digest(hash, der)) == *thumbprint
        };
        !named.is_empty() && named.iter().all(matches)
    };
    let certificates =
        application.certificates.iter().filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
    let certificate = certificates.into_iter().find(is_named).ok_or(UNKNOWN_SIGNATURE)?;
    check_signature(&certificate, algorithm, assertion).ok_or(UNKNOWN_SIGNATURE)?;
    if claims.text("sub") != application.client_id {
        return Err(700_021);
    }
    if !claims.is_for(endpoint) {
        return Err(700_023);
    }
    let now = Timestamp::now().as_second();
    let (Some(from), Some(to)) = (claims.time("nbf"), claims.time("exp")) else { return Err(EXPIRED) };
    if now + SKEW < from || to + SKEW < now || to <= from {
        return Err(EXPIRED);
    }
    Some(claims.text("jti")).filter(|id| !id.is_empty()).map(str::to_owned).ok_or(50027)
}

fn check_signature(der: &CertificateDer<'_>, algorithm: &'static RsaParameters, assertion: &Jwt<'_>) -> Option<()> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    if !certificate.validity().is_valid() {
        return None;
    }
    let key = UnparsedPublicKey::new(algorithm, certificate.public_key().raw);
    key.verify(assertion.message.as_bytes(), &assertion.signature).ok()
}
