//! Infisical.

use std::sync::Arc;

use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{InfisicalOciAuth, InfisicalScope, InfisicalSpec, SecretKeySelector};
use keyferry_infisical::{Ambient, Auth, Infisical, InfisicalConfig, Scope};

use super::{is_vendors, misled, tls, variable};
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &InfisicalSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let config = InfisicalConfig {
        host_api: Some(spec.host_api.clone()),
        auth: auth(spec, resolver).await?,
        scope: scope(&spec.secrets_scope),
        tls: tls(resolver, spec.ca_bundle.as_deref(), spec.ca_provider.as_ref()).await?,
        ambient: Ambient::from_variables(variable).map_err(|problem| misled(&problem))?,
    };
    Ok(Arc::new(Infisical::new(config, Arc::clone(calls))?))
}

fn scope(spec: &InfisicalScope) -> Scope {
    Scope {
        project_slug: spec.project_slug.clone(),
        environment_slug: spec.environment_slug.clone(),
        secrets_path: spec.secrets_path.clone(),
        recursive: spec.recursive,
        expand_secret_references: spec.expand_secret_references,
        organization_slug: spec.organization_slug.clone().filter(|slug| !slug.is_empty()),
    }
}

/// Of several methods the first counts, in this order.
///
/// Some prove who the operator is, and the id of the machine identity then decides whose secrets that proof opens. So a
/// ClusterSecretStore must say from which namespace it takes the id, and whatever else makes the proof: if each reader
/// brought its own, it could bring somebody else's.
async fn auth(spec: &InfisicalSpec, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let auth = &spec.auth;
    if let Some(universal) = &auth.universal {
        let mut read = Reader::theirs(resolver, "auth.universalAuthCredentials");
        let client_id = read.secret("clientId", &universal.client_id).await?;
        let client_secret = read.secret("clientSecret", &universal.client_secret).await?;
        return Ok(Auth::Universal { client_id, client_secret });
    }
    if let Some(azure) = &auth.azure {
        if !is_vendors(&spec.host_api, |host| CLOUD.contains(&host)) {
            resolver.may_show(NODE_TOKEN, "auth.azureAuthCredentials")?;
        }
        let mut read = Reader::ours(resolver, "auth.azureAuthCredentials");
        let identity_id = read.secret("identityId", &azure.identity_id).await?;
        return Ok(Auth::Azure { identity_id, resource: read.optional("resource", azure.resource.as_ref()).await? });
    }
    if let Some(gcp) = &auth.gcp_id_token {
        let mut read = Reader::ours(resolver, "auth.gcpIdTokenAuthCredentials");
        return Ok(Auth::GcpIdToken { identity_id: read.secret("identityId", &gcp.identity_id).await? });
    }
    if let Some(gcp) = &auth.gcp_iam {
        resolver.may_show(POD_FILE, "auth.gcpIamAuthCredentials")?;
        let mut read = Reader::ours(resolver, "auth.gcpIamAuthCredentials");
        let identity_id = read.secret("identityId", &gcp.identity_id).await?;
        let path = read.secret("serviceAccountKeyFilePath", &gcp.service_account_key_file_path).await?;
        return Ok(Auth::GcpIam { identity_id, service_account_key_file_path: path });
    }
    if let Some(jwt) = &auth.jwt {
        let mut read = Reader::theirs(resolver, "auth.jwtAuthCredentials");
        let identity_id = read.secret("identityId", &jwt.identity_id).await?;
        return Ok(Auth::Jwt { identity_id, jwt: read.secret("jwt", &jwt.jwt).await? });
    }
    if let Some(ldap) = &auth.ldap {
        let mut read = Reader::theirs(resolver, "auth.ldapAuthCredentials");
        let identity_id = read.secret("identityId", &ldap.identity_id).await?;
        let ldap_username = read.secret("ldapUsername", &ldap.ldap_username).await?;
        let ldap_password = read.secret("ldapPassword", &ldap.ldap_password).await?;
        return Ok(Auth::Ldap { identity_id, ldap_username, ldap_password });
    }
    if let Some(oci) = &auth.oci {
        return oci_auth(oci, resolver).await;
    }
    if let Some(kubernetes) = &auth.kubernetes {
        resolver.may_show(POD_FILE, "auth.kubernetesAuthCredentials")?;
        let mut read = Reader::ours(resolver, "auth.kubernetesAuthCredentials");
        let identity_id = read.secret("identityId", &kubernetes.identity_id).await?;
        let path = kubernetes.service_account_token_path.as_ref();
        let service_account_token_path = read.optional("serviceAccountTokenPath", path).await?;
        return Ok(Auth::Kubernetes { identity_id, service_account_token_path });
    }
    if let Some(aws) = &auth.aws {
        let mut read = Reader::ours(resolver, "auth.awsAuthCredentials");
        return Ok(Auth::Aws { identity_id: read.secret("identityId", &aws.identity_id).await? });
    }
    if let Some(token) = &auth.token {
        let mut read = Reader::theirs(resolver, "auth.tokenAuthCredentials");
        return Ok(Auth::Token { access_token: read.secret("accessToken", &token.access_token).await? });
    }
    Err(resolver.invalid("auth", "names no way to log in; name one"))
}

/// What logins may show that is the operator's.
const NODE_TOKEN: &str = "a token of the operator's node, which may open more than Infisical,";
const POD_FILE: &str = "a file of the operator's pod, or what it proves,";

/// The vendor's own servers.
const CLOUD: [&str; 3] = ["app.infisical.com", "eu.infisical.com", "us.infisical.com"];

async fn oci_auth(oci: &InfisicalOciAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let mut read = Reader::theirs(resolver, "auth.ociAuthCredentials");
    Ok(Auth::Oci {
        identity_id: read.secret("identityId", &oci.identity_id).await?,
        private_key: read.secret("privateKey", &oci.private_key).await?,
        private_key_passphrase: read.optional("privateKeyPassphrase", oci.private_key_passphrase.as_ref()).await?,
        fingerprint: read.secret("fingerprint", &oci.fingerprint).await?,
        user_id: read.secret("userId", &oci.user_id).await?,
        tenancy_id: read.secret("tenancyId", &oci.tenancy_id).await?,
        region: read.secret("region", &oci.region).await?,
    })
}

/// Reads the selectors of one method.
struct Reader<'a, 'b> {
    resolver: &'a mut Resolver<'b>,
    below: &'static str,
    open: Open,
}

impl<'a, 'b> Reader<'a, 'b> {
    /// Of a method that proves who the operator is.
    fn ours(resolver: &'a mut Resolver<'b>, below: &'static str) -> Self {
        Self { resolver, below, open: Open::Forbidden }
    }

    /// Of a method whose whole proof stands in Secrets.
    fn theirs(resolver: &'a mut Resolver<'b>, below: &'static str) -> Self {
        Self { resolver, below, open: Open::Allowed }
    }

    async fn secret(&mut self, field: &str, selector: &SecretKeySelector) -> Result<SecretBytes, Unresolved> {
        self.resolver.secret(&format!("{}.{field}", self.below), selector, None, self.open).await
    }

    async fn optional(
        &mut self,
        field: &str,
        selector: Option<&SecretKeySelector>,
    ) -> Result<Option<SecretBytes>, Unresolved> {
        self.resolver.optional_secret(&format!("{}.{field}", self.below), selector, self.open).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::stores::{
        build::fixtures::{Cluster, key},
        scope::Scope,
    };

    const CHECKED: Scope<'_> = Scope::Cluster { consumer: None };
    const READER: Scope<'_> = Scope::Cluster { consumer: Some("team") };
    const TENANTS: Scope<'_> = Scope::Namespace("team");

    /// What stands in the way before anything is read.
    async fn obstacle(scope: Scope<'_>, credentials: Value) -> String {
        obstacle_at("https://infisical.example", scope, credentials).await
    }

    async fn obstacle_at(host: &str, scope: Scope<'_>, credentials: Value) -> String {
        let place = json!({"projectSlug": "p", "environmentSlug": "e"});
        let spec = json!({"infisical": {"hostAPI": host, "auth": credentials, "secretsScope": place}});
        let cluster = Cluster::holding([]).await;
        let told = cluster.refusal(scope, &spec).await;
        assert_eq!(cluster.reads(), 0, "{told}");
        told.replace("InvalidConfiguration: spec.provider.infisical.", "")
    }

    /// Credentials of this method, in Secrets without a namespace.
    fn open(method: &str, fields: &[&str]) -> Value {
        let fields: serde_json::Map<_, _> =
            fields.iter().map(|field| ((*field).to_owned(), key("login", field))).collect();
        json!({method: fields})
    }

    #[tokio::test]
    async fn files_of_the_pod_are_for_cluster_stores_only() {
        for (method, fields) in [
            ("kubernetesAuthCredentials", &["identityId"][..]),
            ("kubernetesAuthCredentials", &["identityId", "serviceAccountTokenPath"]),
            ("gcpIamAuthCredentials", &["identityId", "serviceAccountKeyFilePath"]),
        ] {
            assert_eq!(
                obstacle(TENANTS, open(method, fields)).await,
                format!(
                    "auth.{method} would show a file of the operator's pod, or what it proves, to \
                     the server that this SecretStore names; use another method, or a ClusterSecretStore"
                )
            );
        }
    }

    #[tokio::test]
    async fn the_nodes_token_is_shown_to_a_server_that_a_tenant_names_only_if_it_is_the_vendors() {
        let credentials = || json!({"azureAuthCredentials": {"identityId": {"name": "login"}}});
        for (host, goes_on) in [
            ("https://infisical.example", false),
            ("http://app.infisical.com", false),
            ("https://mine.infisical.com", false),
            ("https://app.infisical.com.evil.example", false),
            ("https://app.infisical.com@evil.example", false),
            ("", true),
            ("https://app.infisical.com/api", true),
            (" https://eu.infisical.com", true),
        ] {
            let told = obstacle_at(host, TENANTS, credentials()).await;
            let expected = if goes_on {
                "auth.azureAuthCredentials.identityId has no `key`; name a key of the Secret"
            } else {
                "auth.azureAuthCredentials would show a token of the operator's node, which may \
                 open more than Infisical, to the server that this SecretStore names; use another method, or a \
                 ClusterSecretStore"
            };
            assert_eq!(told, expected, "{host}");
        }
    }

    #[tokio::test]
    async fn readers_do_not_choose_whose_secrets_the_operators_proof_opens() {
        for (method, fields) in [
            ("awsAuthCredentials", &["identityId"][..]),
            ("azureAuthCredentials", &["identityId", "resource"]),
            ("gcpIamAuthCredentials", &["identityId", "serviceAccountKeyFilePath"]),
            ("gcpIdTokenAuthCredentials", &["identityId"]),
            ("kubernetesAuthCredentials", &["identityId", "serviceAccountTokenPath"]),
        ] {
            for scope in [CHECKED, READER] {
                assert_eq!(
                    obstacle(scope, open(method, fields)).await,
                    format!(
                        "auth.{method}.identityId has no `namespace`, which a ClusterSecretStore \
                         must set; set it"
                    )
                );
            }
        }
    }

    #[tokio::test]
    async fn readers_may_bring_whole_credentials_of_their_own() {
        let oci = ["identityId", "privateKey", "fingerprint", "userId", "tenancyId", "region"];
        for (method, fields) in [
            ("jwtAuthCredentials", &["identityId", "jwt"][..]),
            ("ldapAuthCredentials", &["identityId", "ldapPassword", "ldapUsername"]),
            ("ociAuthCredentials", &oci),
            ("tokenAuthCredentials", &["accessToken"]),
            ("universalAuthCredentials", &["clientId", "clientSecret"]),
        ] {
            assert_eq!(obstacle(CHECKED, open(method, fields)).await, "nobody asks", "{method}");
        }
    }

    #[tokio::test]
    async fn a_store_needs_a_method_and_a_selector_a_name_and_a_key() {
        let told = obstacle(TENANTS, json!({})).await;
        assert_eq!(told, "auth names no way to log in; name one");
        for (selector, problem) in [
            (json!({"key": "token"}), "has no `name`; set it"),
            (json!({"name": "login"}), "has no `key`; name a key of the Secret"),
            (
                json!({"name": "login", "key": "token", "namespace": "other"}),
                "names the namespace \"other\", but a SecretStore may only refer to its own; remove `namespace`, or use a \
                 ClusterSecretStore",
            ),
        ] {
            let told = obstacle(TENANTS, json!({"tokenAuthCredentials": {"accessToken": selector}})).await;
            assert_eq!(told, format!("auth.tokenAuthCredentials.accessToken {problem}"));
        }
    }
}
