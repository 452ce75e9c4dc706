//! Trust in certificates that a store names.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// Trusts what the store's roots sign, and the roots themselves.
///
/// A server with a self-signed certificate shows one that calls itself an authority (so does `openssl req -x509`), and
/// its user names that very certificate as the root. WebPKI refuses an authority as a server even then; Go does not,
/// and neither do we.
#[derive(Debug)]
pub(super) struct Pinned {
    roots: Vec<CertificateDer<'static>>,
    web_pki: Arc<WebPkiServerVerifier>,
}

impl Pinned {
    pub(super) fn new(
        roots: Vec<CertificateDer<'static>>,
        anchors: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let web_pki = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), provider).build()?;
        Ok(Self { roots, web_pki })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.web_pki.verify_server_cert(server, intermediates, name, ocsp, now) {
            // Whoever proves to hold the key of a root is trusted. Of what WebPKI may dislike in it, only its time of
            // validity matters, which has an error of its own.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.roots.contains(server) => {
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web_pki.verify_tls12_signature(message, server, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web_pki.verify_tls13_signature(message, server, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web_pki.supported_verify_schemes()
    }
}
