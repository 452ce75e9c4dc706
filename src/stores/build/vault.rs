//! HashiCorp Vault and OpenBao.

use std::{sync::Arc, time::Duration};

use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{
    SecretKeySelector, VaultAppRoleAuth, VaultAuth, VaultCertAuth, VaultGcpAuth, VaultIamAuth, VaultJwtAuth,
    VaultKubernetesAuth, VaultSpec, VaultTls, VaultVersion,
};
use keyferry_rest::{BaseUrl, Identity};
use keyferry_vault::{
    Auth, AwsIdentity, AwsLogin, AwsRole, GoogleEndpoints, GoogleIdentity, GoogleLogin, JwtSource, KvVersion,
    LoginMethod, Vault, VaultConfig, WorkloadIdentity,
};

use super::{misled, required, tls, variable};
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &VaultSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let mut tls = tls(resolver, spec.ca_bundle.as_deref(), spec.ca_provider.as_ref()).await?;
    if let Some(identity) = &spec.tls {
        tls.identity = client_certificate(identity, resolver).await?;
    }
    let config = VaultConfig {
        server: spec.server.clone(),
        path: spec.path.clone(),
        version: match spec.version {
            VaultVersion::V1 => KvVersion::V1,
            VaultVersion::V2 => KvVersion::V2,
        },
        namespace: spec.namespace.clone(),
        auth_namespace: spec.auth.as_ref().and_then(|auth| auth.namespace.clone()),
        auth: match &spec.auth {
            Some(named) => auth(named, resolver).await?,
            None => Auth::None,
        },
        tls,
        headers: spec.headers.iter().flat_map(|headers| headers.iter()).map(header).collect(),
        read_your_writes: spec.read_your_writes.unwrap_or_default(),
        forward_inconsistent: spec.forward_inconsistent.unwrap_or_default(),
    };
    Ok(Arc::new(Vault::new(config, Arc::clone(calls))?))
}

fn header((name, value): (&String, &String)) -> (String, SecretBytes) {
    (name.clone(), SecretBytes::from(value.as_str()))
}

async fn client_certificate(tls: &VaultTls, resolver: &mut Resolver<'_>) -> Result<Option<Identity>, Unresolved> {
    let (Some(certificate), Some(key)) = (&tls.cert_secret_ref, &tls.key_secret_ref) else {
        return Ok(None);
    };
    let certificate = secret("tls.certSecretRef", certificate, Some("tls.crt"), resolver).await?;
    let key = secret("tls.keySecretRef", key, Some("tls.key"), resolver).await?;
    Ok(Some(Identity { certificates: certificate.expose().to_vec(), key, field: "tls" }))
}

/// Of several methods the first counts, in this order.
async fn auth(auth: &VaultAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    if let Some(token) = &auth.token_secret_ref {
        return Ok(Auth::Token(secret("auth.tokenSecretRef", token, None, resolver).await?));
    }
    if let Some(role) = &auth.app_role {
        return app_role(role, resolver).await;
    }
    if let Some(kubernetes) = &auth.kubernetes {
        return kubernetes_auth(kubernetes, resolver).await;
    }
    if let Some(ldap) = &auth.ldap {
        let username = named("auth.ldap.username", &ldap.username, resolver)?;
        let password = needed("auth.ldap.secretRef", ldap.secret_ref.as_ref(), resolver).await?;
        return Ok(login(&ldap.path, "ldap", LoginMethod::Password { username, password }));
    }
    if let Some(user) = &auth.user_pass {
        let username = named("auth.userPass.username", &user.username, resolver)?;
        let password = needed("auth.userPass.secretRef", user.secret_ref.as_ref(), resolver).await?;
        return Ok(login(&user.path, "userpass", LoginMethod::Password { username, password }));
    }
    if let Some(jwt) = &auth.jwt {
        return jwt_auth(jwt, resolver).await;
    }
    if let Some(certificate) = &auth.cert {
        return certificate_auth(certificate, resolver).await;
    }
    if let Some(iam) = &auth.iam {
        return iam_auth(iam, resolver).await;
    }
    if let Some(gcp) = &auth.gcp {
        return gcp_auth(gcp, resolver).await;
    }
    Err(resolver.invalid("auth", "names no way to log in; name one, or remove auth where an agent logs in"))
}

/// At the mount `path`, or at the method's usual one where that is empty.
fn login(path: &str, usual: &str, method: LoginMethod) -> Auth {
    let path = if path.is_empty() { usual } else { path };
    Auth::Login { path: path.to_owned(), method }
}

fn named(field: &str, name: &str, resolver: &Resolver<'_>) -> Result<String, Unresolved> {
    if name.trim().is_empty() { Err(resolver.invalid(field, "is empty; set it")) } else { Ok(name.to_owned()) }
}

async fn app_role(role: &VaultAppRoleAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let role_id = match (role.role_id.as_deref().filter(|id| !id.is_empty()), &role.role_ref) {
        (Some(id), _) => SecretBytes::from(id),
        (None, selector) => {
            let field = "auth.appRole.roleRef";
            secret(field, required(resolver, field, selector.as_ref())?, None, resolver).await?
        }
    };
    let secret_id = secret("auth.appRole.secretRef", &role.secret_ref, None, resolver).await?;
    Ok(login(&role.path, "approle", LoginMethod::AppRole { role_id, secret_id }))
}

async fn kubernetes_auth(auth: &VaultKubernetesAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let jwt = match (&auth.service_account_ref, &auth.secret_ref) {
        (Some(account), _) => JwtSource::Minted {
            tokens: resolver.tokens("auth.kubernetes.serviceAccountRef", account).await?,
            audiences: Vec::new(),
            ttl: TOKEN_LIFE,
        },
        (None, Some(selector)) => {
            JwtSource::Fixed(secret("auth.kubernetes.secretRef", selector, Some("token"), resolver).await?)
        }
        (None, None) => JwtSource::File(resolver.own_token("auth.kubernetes")?),
    };
    Ok(login(&auth.mount_path, "kubernetes", LoginMethod::Jwt { role: Some(auth.role.clone()), jwt }))
}

/// The shortest life that the API server gives a token; it is needed for one login only.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// The longest.
const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(1 << 32);

async fn jwt_auth(auth: &VaultJwtAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let jwt = match (&auth.secret_ref, &auth.kubernetes_service_account_token) {
        (Some(selector), _) => JwtSource::Fixed(secret("auth.jwt.secretRef", selector, None, resolver).await?),
        (None, Some(token)) => {
            let field = "auth.jwt.kubernetesServiceAccountToken.serviceAccountRef";
            JwtSource::Minted {
                ttl: token_life(token.expiration_seconds, resolver)?,
                tokens: resolver.tokens(field, &token.service_account_ref).await?,
                audiences: token.audiences.clone().unwrap_or_else(|| vec!["vault".to_owned()]),
            }
        }
        (None, None) => {
            let problem = "names neither secretRef nor kubernetesServiceAccountToken; name one";
            return Err(resolver.invalid("auth.jwt", problem));
        }
    };
    Ok(login(&auth.path, "jwt", LoginMethod::Jwt { role: auth.role.clone(), jwt }))
}

fn token_life(seconds: Option<i64>, resolver: &Resolver<'_>) -> Result<Duration, Unresolved> {
    let Some(seconds) = seconds else { return Ok(TOKEN_LIFE) };
    let life = u64::try_from(seconds).map(Duration::from_secs).ok();
    life.filter(|life| (TOKEN_LIFE..=LONGEST_TOKEN_LIFE).contains(life)).ok_or_else(|| {
        let field = "auth.jwt.kubernetesServiceAccountToken.expirationSeconds";
        resolver
            .invalid(field, format!("is {seconds}, and API servers give tokens 600 to 4294967296 seconds; correct it"))
    })
}

async fn certificate_auth(auth: &VaultCertAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let (cert_field, key_field) = ("auth.cert.clientCert", "auth.cert.secretRef");
    let certificate = required(resolver, cert_field, auth.client_cert.as_ref())?;
    let certificate = secret(cert_field, certificate, Some("tls.crt"), resolver).await?;
    let key =
        secret(key_field, required(resolver, key_field, auth.secret_ref.as_ref())?, Some("tls.key"), resolver).await?;
    let identity = Identity { certificates: certificate.expose().to_vec(), key, field: "auth.cert" };
    Ok(login(&auth.path, "cert", LoginMethod::Cert { role: auth.vault_role.clone(), identity }))
}

async fn iam_auth(auth: &VaultIamAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let account = auth.jwt.as_ref().and_then(|jwt| jwt.service_account_ref.as_ref());
    let identity = match (account, &auth.secret_ref) {
        (Some(account), _) => {
            AwsIdentity::ServiceAccount(resolver.tokens("auth.iam.jwt.serviceAccountRef", account).await?)
        }
        (None, Some(keys)) => {
            let (id, key) = ("auth.iam.secretRef.accessKeyIDSecretRef", "auth.iam.secretRef.secretAccessKeySecretRef");
            let token = "auth.iam.secretRef.sessionTokenSecretRef";
            AwsIdentity::Keys {
                access_key_id: needed(id, keys.access_key_id.as_ref(), resolver).await?,
                secret_access_key: needed(key, keys.secret_access_key.as_ref(), resolver).await?,
                session_token: match &keys.session_token {
                    Some(selector) => Some(secret(token, selector, None, resolver).await?),
                    None => None,
                },
            }
        }
        (None, None) => AwsIdentity::Ambient,
    };
    let external_id = filled(&auth.external_id);
    let method = AwsLogin {
        vault_role: auth.vault_role.clone(),
        identity,
        region: filled(&auth.region).unwrap_or_else(|| "us-east-1".to_owned()),
        role: filled(&auth.role).map(|arn| AwsRole { arn, external_id }),
        server_id: filled(&auth.vault_aws_iam_server_id),
        sts_endpoint: sts_endpoint()?,
    };
    Ok(login(auth.path.as_deref().unwrap_or_default(), "aws", LoginMethod::Aws(Box::new(method))))
}

/// The variables by which every client of AWS is told of another STS.
fn sts_endpoint() -> Result<Option<BaseUrl>, Unresolved> {
    let set = |name: &'static str| variable(name).filter(|url| !url.trim().is_empty()).map(|url| (name, url));
    let Some((name, url)) = ["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"].into_iter().find_map(set)
    else {
        return Ok(None);
    };
    let wrong = |problem| misled(&format!("the variable {name} of the operator's environment {problem}"));
    BaseUrl::parse(&url).map(Some).map_err(wrong)
}

/// `serviceAccountRef` makes no difference: a token of Kubernetes is no identity of Google's, and without a workload
/// identity Vault is shown that of the operator's node or pod, as manifests of other operators expect.
async fn gcp_auth(auth: &VaultGcpAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    let identity = match (&auth.secret_ref, &auth.workload_identity) {
        (Some(key), _) => {
            let field = "auth.gcp.secretRef.secretAccessKeySecretRef";
            GoogleIdentity::Key(needed(field, key.secret_access_key.as_ref(), resolver).await?)
        }
        (None, Some(identity)) => GoogleIdentity::WorkloadIdentity(WorkloadIdentity {
            tokens: resolver
                .tokens("auth.gcp.workloadIdentity.serviceAccountRef", &identity.service_account_ref)
                .await?,
            // The source adds those of the manifest itself.
            audiences: Vec::new(),
            cluster_location: identity.cluster_location.clone().or_else(|| auth.location.clone()),
            cluster_name: identity.cluster_name.clone(),
            cluster_project: identity.cluster_project_id.clone().or_else(|| auth.project_id.clone()),
        }),
        (None, None) => GoogleIdentity::Ambient,
    };
    let endpoints = GoogleEndpoints::from_variables(variable).map_err(|problem| misled(&problem))?;
    let method = GoogleLogin { role: auth.role.clone(), identity, endpoints };
    Ok(login(&auth.path, "gcp", LoginMethod::Google(Box::new(method))))
}

/// The value of a selector that the manifest must have.
async fn needed(
    field: &str,
    selector: Option<&SecretKeySelector>,
    resolver: &mut Resolver<'_>,
) -> Result<SecretBytes, Unresolved> {
    secret(field, required(resolver, field, selector)?, None, resolver).await
}

async fn secret(
    field: &str,
    selector: &SecretKeySelector,
    default_key: Option<&str>,
    resolver: &mut Resolver<'_>,
) -> Result<SecretBytes, Unresolved> {
    resolver.secret(field, selector, default_key, Open::Allowed).await
}

#[cfg(test)]
mod tests;
