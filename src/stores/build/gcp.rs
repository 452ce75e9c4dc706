//! Google Cloud Secret Manager.

use std::sync::Arc;

use keyferry_core::{CallObserver, Provider};
use keyferry_crds::{
    GcpAuth, GcpAwsCredentials, GcpSmSpec, GcpVersionSelection, GcpWorkloadIdentity, GcpWorkloadIdentityFederation,
};
use keyferry_gcp::{
    Auth, AwsCredentials, Environment, Federation, Gcp, GcpConfig, Subject, VersionSelection, WorkloadIdentity,
};

use super::required;
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &GcpSmSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let config = GcpConfig {
        auth: match &spec.auth {
            Some(named) => auth(named, resolver).await?,
            None => Auth::Ambient,
        },
        environment: Environment::of_process()?,
        location: spec.location.clone().filter(|location| !location.is_empty()),
        project: spec.project_id.clone().filter(|project| !project.is_empty()),
        version_selection: match spec.secret_version_selection_policy {
            GcpVersionSelection::LatestOrFail => VersionSelection::LatestOrFail,
            GcpVersionSelection::LatestOrFetch => VersionSelection::LatestOrFetch,
        },
    };
    Ok(Arc::new(Gcp::new(config, Arc::clone(calls))?))
}

/// Of several methods the first counts, in this order.
async fn auth(auth: &GcpAuth, resolver: &mut Resolver<'_>) -> Result<Auth, Unresolved> {
    if let Some(key) = &auth.secret_ref {
        let field = "auth.secretRef.secretAccessKeySecretRef";
        let selector = required(resolver, field, key.secret_access_key.as_ref())?;
        return Ok(Auth::ServiceAccountKey(resolver.secret(field, selector, None, Open::Allowed).await?));
    }
    if let Some(identity) = &auth.workload_identity {
        return workload_identity(identity, resolver).await.map(Auth::WorkloadIdentity);
    }
    match &auth.workload_identity_federation {
        Some(named) => federation(named, resolver).await.map(Auth::Federation),
        None => Ok(Auth::Ambient),
    }
}

async fn workload_identity(
    identity: &GcpWorkloadIdentity,
    resolver: &mut Resolver<'_>,
) -> Result<WorkloadIdentity, Unresolved> {
    let account = &identity.service_account_ref;
    Ok(WorkloadIdentity {
        tokens: resolver.tokens("auth.workloadIdentity.serviceAccountRef", account).await?,
        // The source adds those of the manifest itself.
        audiences: Vec::new(),
        cluster_location: identity.cluster_location.clone(),
        cluster_name: identity.cluster_name.clone(),
        cluster_project: identity.cluster_project_id.clone(),
    })
}

async fn federation(
    federation: &GcpWorkloadIdentityFederation,
    resolver: &mut Resolver<'_>,
) -> Result<Federation, Unresolved> {
    let field = "auth.workloadIdentityFederation";
    let named = (&federation.service_account_ref, &federation.cred_config, &federation.aws_security_credentials);
    let subject = match named {
        (Some(account), None, None) => Subject::ServiceAccount {
            tokens: resolver.tokens(&format!("{field}.serviceAccountRef"), account).await?,
            audiences: Vec::new(),
        },
        (None, Some(config), None) => {
            let (field, namespace) = (format!("{field}.credConfig"), config.namespace.as_deref());
            let bytes = resolver.config_map(&field, &config.name, namespace, &config.key, Open::Allowed).await?;
            Subject::CredConfig(bytes)
        }
        (None, None, Some(aws)) => aws_subject(&format!("{field}.awsSecurityCredentials"), aws, resolver).await?,
        _ => {
            let problem = "needs exactly one of serviceAccountRef, credConfig and awsSecurityCredentials; keep one";
            return Err(resolver.invalid(field, problem));
        }
    };
    Ok(Federation {
        audience: federation.audience.clone(),
        external_token_endpoint: federation.external_token_endpoint.clone(),
        service_account_email: federation.gcp_service_account_email.clone(),
        subject,
    })
}

async fn aws_subject(below: &str, aws: &GcpAwsCredentials, resolver: &mut Resolver<'_>) -> Result<Subject, Unresolved> {
    let field = format!("{below}.awsCredentialsSecretRef");
    let reference = &aws.aws_credentials_secret_ref;
    let mut keys =
        resolver.whole_secret(&field, &reference.name, reference.namespace.as_deref(), Open::Allowed).await?;
    let mut take = |key: &str| {
        let missing = format!("needs the key \"{key}\" in its Secret; add it");
        keys.remove(key).ok_or_else(|| resolver.invalid(&field, missing))
    };
    let credentials = AwsCredentials {
        access_key_id: take("aws_access_key_id")?,
        secret_access_key: take("aws_secret_access_key")?,
        session_token: keys.remove("aws_session_token"),
    };
    Ok(Subject::Aws { credentials, region: aws.region.clone() })
}
