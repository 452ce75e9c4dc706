//! Tokens and proofs reach those for whom they are meant, and nobody to whom these point.

use keyferry_azure::{Auth, AzureConfig, CustomCloud, Environment, WorkloadIdentity};
use keyferry_core::{ErrorKind, Provider};
use keyferry_rest::BaseUrl;
use keyferry_testkit::{Reply, ScriptedServer};
use serde_json::json;

use crate::{
    fixtures::{CLIENT, TENANT, config, refused, secret, store, wrong},
    read::scripted,
};

/// Somebody else, who would answer everything.
pub(crate) async fn stranger() -> ScriptedServer {
    ScriptedServer::answering(|_| Reply::json(200, &json!({"access_token": "t", "value": "x", "expires_in": 9}))).await
}

fn elsewhere(status: u16, stranger: &ScriptedServer) -> Reply {
    Reply::json(status, &json!({})).header("Location", &format!("{}/secrets/a", stranger.url()))
}

#[tokio::test]
async fn a_vault_that_redirects_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let stranger = stranger().await;
        let reply = elsewhere(status, &stranger);
        let server = scripted(move || reply.clone()).await;
        let error = refused(&store(config(&server.url())), "a").await;
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("the server redirects the secret a to another address"), "{error}");
        assert!(stranger.requests().is_empty());
    }
}

#[tokio::test]
async fn a_login_that_redirects_is_not_followed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "proof").unwrap();
    for auth in
        [secret(), Auth::ManagedIdentity { identity_id: None }, Auth::WorkloadIdentity(WorkloadIdentity::default())]
    {
        let stranger = stranger().await;
        let reply = elsewhere(307, &stranger);
        let server = ScriptedServer::answering(move |_| reply.clone()).await;
        let settings = config(&server.url());
        let environment = Environment {
            client_id: Some(CLIENT.into()),
            federated_token_file: Some(file.path().into()),
            tenant_id: Some(TENANT.into()),
            ..settings.environment.clone()
        };
        let error = store(AzureConfig { auth, environment, ..settings }).check().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.ends_with("to another address; name the final address in the store"), "{error}");
        assert!(stranger.requests().is_empty());
    }
}

#[tokio::test]
async fn a_vault_outside_its_cloud_is_refused_before_anybody_logs_in() {
    let server = stranger().await;
    let elsewhere = BaseUrl::parse(&server.url()).ok();
    let custom = |endpoint: &str, suffix: Option<&str>| CustomCloud {
        active_directory_endpoint: server.url(),
        key_vault_dns_suffix: suffix.map(Into::into),
        key_vault_endpoint: Some(endpoint.into()),
    };
    for (url, custom_cloud) in [
        ("https://evil.example", None),
        ("https://evil.example", Some(custom("https://vault.azure.net", None))),
        ("https://a.evil.example", Some(custom("https://vault.azure.net", Some("evil.example")))),
        ("https://evil.example", Some(custom("https://vault.example", Some("vault.example")))),
    ] {
        let environment = Environment { authority: elsewhere.clone(), ..Environment::default() };
        let error = wrong(AzureConfig { custom_cloud, environment, ..config(url) });
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.message.starts_with("vaultUrl: is not the address of a vault in this cloud"), "{error}");
    }
    assert!(server.requests().is_empty());
}
