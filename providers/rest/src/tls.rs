//! Whom a client trusts, and how it shows who it is.

mod pinned;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::SecretBytes;
use rustls::{
    ClientConfig, RootCertStore,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use self::pinned::Pinned;

/// TLS settings of a store. The default trusts the system's certificates and shows none.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates to trust *instead* of the system's: PEM, or base64 of PEM.
    pub roots: Option<Vec<u8>>,
    /// The client's own certificate.
    pub identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate and whatever leads from it to its authority, in PEM.
    pub certificates: Vec<u8>,
    /// Its private key in PEM (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: SecretBytes,
    /// Where the store names it, for messages.
    pub field: &'static str,
}

impl Tls {
    /// What rustls needs; the text of an error says which setting is wrong.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let provider =
            CryptoProvider::get_default().map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| "the TLS library has no usable ciphers")?;
        let builder = match &self.roots {
            Some(roots) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(named_roots(roots, provider)?))
            }
            None => match system_roots(provider) {
                Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
                // An image without certificates can still use http, and stores that name their CA.
                None => builder.with_root_certificates(RootCertStore::empty()),
            },
        };
        let mut config = match &self.identity {
            Some(identity) => {
                let (certificates, key) = identity.parse()?;
                let config = builder.with_client_auth_cert(certificates, key);
                config.map_err(|_| identity.wrong("the client certificate and its key do not belong together"))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The system's certificates, once for all clients that are alive: they are many, and the same for every store.
fn system_roots(provider: Arc<CryptoProvider>) -> Option<Arc<dyn ServerCertVerifier>> {
    static LOADED: Mutex<Weak<Verifier>> = Mutex::new(Weak::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verifier) = loaded.upgrade() {
        return Some(verifier);
    }
    let verifier = Arc::new(Verifier::new(provider).ok()?);
    *loaded = Arc::downgrade(&verifier);
    Some(verifier)
}

fn named_roots(text: &[u8], provider: Arc<CryptoProvider>) -> Result<Pinned, String> {
    let wrong = |what: &str| format!("caBundle or caProvider: {what}; give PEM certificates, or their base64");
    let pem = without_base64(text).unwrap_or_else(|| text.to_vec());
    let (mut anchors, mut roots) = (RootCertStore::empty(), Vec::new());
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| wrong("is not well-formed PEM"))?;
        anchors.add(certificate.clone()).map_err(|_| wrong("holds a broken certificate"))?;
        roots.push(certificate);
    }
    Pinned::new(roots, anchors, provider).map_err(|_| wrong("holds no certificate"))
}

/// The PEM inside `text` where that is base64, perhaps with line breaks; base64 has no dashes, PEM has.
fn without_base64(text: &[u8]) -> Option<Vec<u8>> {
    let dense: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(dense).ok()
}

impl Identity {
    fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let no_certificate = || self.wrong("the client certificate is not in PEM form");
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| no_certificate())?;
        if certificates.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.expose()).map_err(|_| {
            self.wrong("the client certificate's key is not a private key in PEM form without a password")
        })?;
        Ok((certificates, key))
    }

    fn wrong(&self, what: &str) -> String {
        format!("{}: {what}; correct what it names", self.field)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use keyferry_core::SecretBytes;

    use super::{Identity, Tls};

    fn signed() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["vault.example".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn trusting(roots: &str) -> Result<(), String> {
        Tls { roots: Some(roots.into()), ..Tls::default() }.config().map(|_| ())
    }

    #[test]
    fn roots_are_pem_or_base64_of_pem() {
        let (pem, _) = signed();
        let both = format!("some text\n{pem}{pem}");
        assert_eq!(trusting(&both), Ok(()));
        assert_eq!(trusting(&STANDARD.encode(&both)), Ok(()));
    }

    #[test]
    fn roots_that_hold_nothing_usable_are_refused_by_name() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "hunter2!", "aHVudGVyMg==", broken, "-----BEGIN CERTIFICATE-----\nAA"] {
            let error = trusting(text).expect_err(text);
            assert!(error.starts_with("caBundle or caProvider: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_identity_needs_both_halves() {
        let (certificate, key) = signed();
        let with = |certificates: &str, key: &str| {
            let identity = Identity { certificates: certificates.into(), key: SecretBytes::from(key), field: "tls" };
            Tls { identity: Some(identity), ..Tls::default() }.config().map(|_| ())
        };
        assert_eq!(with(&certificate, &key), Ok(()));
        for (certificate, key, told) in [
            ("hunter2", key.as_str(), "tls: the client certificate is not in PEM form; correct what it names"),
            ("", &key, "tls: the client certificate is not in PEM form"),
            (&certificate, "hunter2", "tls: the client certificate's key is not a private key in PEM form without"),
            (&certificate, &signed().1, "tls: the client certificate and its key do not belong together"),
        ] {
            let error = with(certificate, key).expect_err(told);
            assert!(error.starts_with(told) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let (certificate, key) = signed();
        let identity =
            Identity { certificates: certificate.into(), key: SecretBytes::from(key.as_str()), field: "tls" };
        let line = key.lines().nth(1).expect("a body");
        assert!(!format!("{identity:?}").contains(line));
    }
}
