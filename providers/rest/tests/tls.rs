//! Whom a client trusts, against a real TLS server.

use std::sync::Arc;

use keyferry_core::{Error, ErrorKind, Retry, SecretBytes, Unobserved};
use keyferry_rest::{BaseUrl, Client, Identity, Tls};
use keyferry_testkit::{Reply, ScriptedServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

struct Pair {
    certificate: String,
    key: String,
}

fn params(host: &str) -> CertificateParams {
    CertificateParams::new([host.to_owned()]).expect("parameters")
}

fn self_signed(params: &CertificateParams) -> Pair {
    let key = KeyPair::generate().expect("a key");
    Pair { certificate: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params("ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn signed_by(ca: &CertifiedIssuer<'static, KeyPair>, host: &str) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(host).signed_by(&key, ca).expect("a certificate").pem();
    Pair { certificate, key: key.serialize_pem() }
}

async fn serve(pair: &Pair, clients: Option<&str>) -> ScriptedServer {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let config = builder.with_single_cert(vec![certificate], key).expect("a configuration");
    ScriptedServer::answering_tls(config, |_| Reply::text(200, "{}")).await
}

async fn connect(server: &ScriptedServer, tls: &Tls) -> Result<(), Error> {
    let client = Client::new("Test", tls, Arc::new(Unobserved)).expect("a client");
    let url = BaseUrl::parse(&server.url()).expect("a URL").as_url().clone();
    client.get("Read", url).send().await.map(|_| ())
}

fn trusting(roots: &str) -> Tls {
    Tls { roots: Some(roots.into()), ..Tls::default() }
}

fn refused(outcome: Result<(), Error>, text: &str) {
    let error = outcome.expect_err("a refusal");
    assert_eq!((error.kind, error.retry), (ErrorKind::Unavailable, Retry::Never), "{error}");
    assert!(error.message.contains(text), "{error}");
}

#[tokio::test]
async fn named_roots_are_trusted_instead_of_all_others() {
    let (ca, other) = (authority(), authority());
    let server = serve(&signed_by(&ca, "127.0.0.1"), None).await;
    assert_eq!(connect(&server, &trusting(&ca.pem())).await, Ok(()));
    refused(connect(&server, &trusting(&other.pem())).await, "name its CA in caBundle or caProvider");
    refused(connect(&server, &Tls::default()).await, "name its CA in caBundle or caProvider");
}

#[tokio::test]
async fn a_self_signed_server_can_be_its_own_root() {
    let mut as_authority = params("127.0.0.1");
    as_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [params("127.0.0.1"), as_authority.clone()] {
        let pair = self_signed(&params);
        let server = serve(&pair, None).await;
        assert_eq!(connect(&server, &trusting(&pair.certificate)).await, Ok(()));
    }
    let another = self_signed(&as_authority);
    let server = serve(&self_signed(&as_authority), None).await;
    assert!(connect(&server, &trusting(&another.certificate)).await.is_err());
}

#[tokio::test]
async fn a_root_that_serves_must_still_be_valid_and_for_that_host() {
    let mut params = params("127.0.0.1");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2001, 1, 1);
    params.not_before = date_time_ymd(2000, 1, 1);
    let expired = self_signed(&params);
    let server = serve(&expired, None).await;
    refused(connect(&server, &trusting(&expired.certificate)).await, "has expired");

    let mut params = self::params("vault.example");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let elsewhere = self_signed(&params);
    let server = serve(&elsewhere, None).await;
    refused(connect(&server, &trusting(&elsewhere.certificate)).await, "is for another host name");
}

#[tokio::test]
async fn the_client_shows_its_certificate_where_it_is_asked() {
    let ca = authority();
    let server = serve(&signed_by(&ca, "127.0.0.1"), Some(&ca.pem())).await;
    let client = signed_by(&ca, "keyferry");
    let identity =
        Identity { certificates: client.certificate.into(), key: SecretBytes::from(client.key), field: "tls" };
    let tls = Tls { identity: Some(identity), ..trusting(&ca.pem()) };
    assert_eq!(connect(&server, &tls).await, Ok(()));
    refused(connect(&server, &trusting(&ca.pem())).await, "it may ask for a client certificate");
}

#[tokio::test]
async fn plain_http_at_an_https_address_is_said_so() {
    let server = ScriptedServer::answering(|_| Reply::text(200, "{}")).await;
    let url = BaseUrl::parse(&server.url().replace("http:", "https:")).expect("a URL").as_url().clone();
    let client = Client::new("Test", &Tls::default(), Arc::new(Unobserved)).expect("a client");
    refused(client.get("Read", url).send().await.map(|_| ()), "is this an https address?");
}
