//! Settings that cannot work, and clouds of all kinds.

use std::sync::Arc;

use keyferry_azure::{Auth, AzureConfig, Cloud, CustomCloud, Environment, WorkloadIdentity};
use keyferry_core::{ErrorKind, Provider};
use keyferry_fakes::{
    azure::{Application, Contents, Object, Settings},
    server::{Certificate, Listen},
};
use keyferry_rest::Tls;

use crate::{
    certificate::Identity,
    fixtures::{CLIENT, TENANT, cloud_with, config, secret, store, value, wrong},
};

fn public() -> AzureConfig {
    AzureConfig {
        environment: Environment::default(),
        vault_url: "https://a.vault.azure.net".into(),
        ..config("http://127.0.0.1:1")
    }
}

#[test]
fn each_wrong_setting_is_told_by_its_field() {
    let principal = |id: Option<&str>, secret: Option<&str>, certificate: Option<&str>| Auth::ServicePrincipal {
        client_certificate: certificate.map(Into::into),
        client_id: id.map(Into::into),
        client_secret: secret.map(Into::into),
    };
    let auth = |auth| AzureConfig { auth, ..public() };
    for (config, expected) in [
        (
            AzureConfig { vault_url: "http://a.vault.azure.net".into(), ..public() },
            "vaultUrl: must begin with https://",
        ),
        (AzureConfig { vault_url: "https://a.vault.azure.cn".into(), ..public() }, "vaultUrl: is not the address of a"),
        (AzureConfig { tenant_id: None, ..public() }, "tenantId: is missing; name the tenant"),
        (AzureConfig { tenant_id: Some("a/b".into()), ..public() }, "tenantId: is neither the id of a tenant"),
        (AzureConfig { cloud: Cloud::Stack, ..public() }, "customCloudConfig: is missing"),
        (auth(principal(None, Some("s"), None)), "authSecretRef.clientId: is missing"),
        (auth(principal(Some("c"), None, None)), "authSecretRef: clientSecret and clientCertificate are both missing"),
        (
            auth(principal(Some("c"), Some("s"), Some("p"))),
            "authSecretRef: clientSecret and clientCertificate are both g",
        ),
        (auth(principal(Some("c\nd"), Some("s"), None)), "authSecretRef.clientId: the value in the Secret is not one"),
        (auth(principal(Some("c"), None, Some("hunter2"))), "authSecretRef.clientCertificate: holds no certificate"),
        (
            auth(principal(Some("c"), None, Some(&Identity::until(4000).certificate))),
            "authSecretRef.clientCertificate: holds no private key in PEM form",
        ),
        (
            auth(Auth::WorkloadIdentity(WorkloadIdentity::default())),
            "authType WorkloadIdentity without serviceAccountRef",
        ),
        (
            AzureConfig { tls: Tls { roots: Some("hunter2".into()), ..Tls::default() }, ..public() },
            "caBundle or caProv",
        ),
    ] {
        let error = wrong(config);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with(expected) && !error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn debug_shows_no_credential() {
    let shown = format!("{:?} {:?}", public(), store(public()));
    assert!(!shown.contains("client-secret"), "{shown}");
    assert!(shown.contains("AzureLogin(ClientSecret)"));
}

#[tokio::test]
async fn a_cloud_of_ones_own_is_reached_over_tls_with_its_own_authority() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = Certificate { chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let listen = Listen { tls: Some(certificate), ..Listen::default() };
    let application = Application { secrets: vec!["client-secret".into()], ..Application::new(TENANT, CLIENT) };
    let objects = vec![Object::secret("a", "x")];
    let contents = Contents { applications: vec![application], objects, ..Contents::default() };
    let settings = Settings { audience: "https://vault.local.example".into(), ..Settings::default() };
    let cloud = keyferry_fakes::azure::AzureCloud::start_with(listen, settings, contents).unwrap();
    let url = cloud.url().replace("127.0.0.1", "localhost");
    let custom_cloud = CustomCloud {
        active_directory_endpoint: format!("{url}/"),
        key_vault_endpoint: Some("https://vault.local.example/".into()),
        ..CustomCloud::default()
    };
    let config = AzureConfig {
        auth: secret(),
        cloud: Cloud::Stack,
        custom_cloud: Some(custom_cloud),
        environment: Environment::default(),
        tls: Tls { roots: Some(made.cert.pem().into_bytes()), ..Tls::default() },
        use_azure_sdk: true,
        vault_url: url,
        ..public()
    };
    assert_eq!(value(&store(config.clone()), "a").await, "x");
    let distrusting = store(AzureConfig { tls: Tls::default(), ..config });
    let error = Arc::new(distrusting).check().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("an authority that is not trusted"), "{error}");
}

#[tokio::test]
async fn a_token_for_another_resource_is_refused_before_the_vault_sees_it() {
    let application = Application { secrets: vec!["client-secret".into()], ..Application::new(TENANT, CLIENT) };
    let contents = Contents { applications: vec![application], ..Contents::default() };
    let cloud = cloud_with(Settings::default(), contents);
    let config = AzureConfig { cloud: Cloud::China, ..config(cloud.url()) };
    let error = store(config).check().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.starts_with("the tenant has no Key Vault of this cloud; check tenantId, env"), "{error}");
}
