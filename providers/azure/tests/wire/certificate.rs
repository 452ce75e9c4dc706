//! Keys of applications and ServiceAccounts.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{CertificateParams, PKCS_RSA_SHA256, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

/// An RSA key with its certificate.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// One that holds until the first day of `year`.
    pub(crate) fn until(year: i32) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key");
        let der = PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).expect("a key");
        let mut params = CertificateParams::new(vec![]).expect("no names");
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    /// Both, as a Secret holds them.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

/// Who signs the tokens of ServiceAccounts.
pub(crate) struct Issuer {
    key: RsaKeyPair,
    pub(crate) public: String,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a key");
        let body = STANDARD.encode(public.as_ref());
        let public = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        Self { key, public }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
