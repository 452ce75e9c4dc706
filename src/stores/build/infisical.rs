//! Infisical.

use std::sync::Arc;

use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{InfisicalAuth, InfisicalOciAuth, InfisicalScope, InfisicalSpec, SecretKeySelector};
use keyferry_infisical::{Ambient, Auth, Infisical, InfisicalConfig, Scope};

use super::{misled, tls, variable};
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
        auth: auth(&spec.auth, resolver).await?,
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
async fn auth(auth: &InfisicalAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    if let Some(universal) = &auth.universal {
        let mut read = Reader { resolver, below: "auth.universalAuthCredentials" };
        let client_id = read.secret("clientId", &universal.client_id).await?;
        let client_secret = read.secret("clientSecret", &universal.client_secret).await?;
        return Ok(Auth::Universal { client_id, client_secret });
    }
    if let Some(azure) = &auth.azure {
        let mut read = Reader { resolver, below: "auth.azureAuthCredentials" };
        let identity_id = read.secret("identityId", &azure.identity_id).await?;
        return Ok(Auth::Azure { identity_id, resource: read.optional("resource", azure.resource.as_ref()).await? });
    }
    if let Some(gcp) = &auth.gcp_id_token {
        let mut read = Reader { resolver, below: "auth.gcpIdTokenAuthCredentials" };
        return Ok(Auth::GcpIdToken { identity_id: read.secret("identityId", &gcp.identity_id).await? });
    }
    if let Some(gcp) = &auth.gcp_iam {
        let mut read = Reader { resolver, below: "auth.gcpIamAuthCredentials" };
        let identity_id = read.secret("identityId", &gcp.identity_id).await?;
        let path = read.secret("serviceAccountKeyFilePath", &gcp.service_account_key_file_path).await?;
        return Ok(Auth::GcpIam { identity_id, service_account_key_file_path: path });
    }
    if let Some(jwt) = &auth.jwt {
        let mut read = Reader { resolver, below: "auth.jwtAuthCredentials" };
        let identity_id = read.secret("identityId", &jwt.identity_id).await?;
        return Ok(Auth::Jwt { identity_id, jwt: read.secret("jwt", &jwt.jwt).await? });
    }
    if let Some(ldap) = &auth.ldap {
        let mut read = Reader { resolver, below: "auth.ldapAuthCredentials" };
        let identity_id = read.secret("identityId", &ldap.identity_id).await?;
        let ldap_username = read.secret("ldapUsername", &ldap.ldap_username).await?;
        let ldap_password = read.secret("ldapPassword", &ldap.ldap_password).await?;
        return Ok(Auth::Ldap { identity_id, ldap_username, ldap_password });
    }
    if let Some(oci) = &auth.oci {
        return oci_auth(oci, resolver).await;
    }
    if let Some(kubernetes) = &auth.kubernetes {
        resolver.own_token("auth.kubernetesAuthCredentials")?;
        let mut read = Reader { resolver, below: "auth.kubernetesAuthCredentials" };
        let identity_id = read.secret("identityId", &kubernetes.identity_id).await?;
        let path = kubernetes.service_account_token_path.as_ref();
        let service_account_token_path = read.optional("serviceAccountTokenPath", path).await?;
        return Ok(Auth::Kubernetes { identity_id, service_account_token_path });
    }
    if let Some(aws) = &auth.aws {
        let mut read = Reader { resolver, below: "auth.awsAuthCredentials" };
        return Ok(Auth::Aws { identity_id: read.secret("identityId", &aws.identity_id).await? });
    }
    if let Some(token) = &auth.token {
        let mut read = Reader { resolver, below: "auth.tokenAuthCredentials" };
        return Ok(Auth::Token { access_token: read.secret("accessToken", &token.access_token).await? });
    }
    Err(resolver.invalid("auth", "names no way to log in; name one"))
}

async fn oci_auth(oci: &InfisicalOciAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let mut read = Reader { resolver, below: "auth.ociAuthCredentials" };
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
}

impl Reader<'_, '_> {
    async fn secret(&mut self, field: &str, selector: &SecretKeySelector) -> Result<SecretBytes, Unresolved> {
        self.resolver.secret(&format!("{}.{field}", self.below), selector, None, Open::Allowed).await
    }

    async fn optional(
        &mut self,
        field: &str,
        selector: Option<&SecretKeySelector>,
    ) -> Result<Option<SecretBytes>, Unresolved> {
        self.resolver.optional_secret(&format!("{}.{field}", self.below), selector, Open::Allowed).await
    }
}
