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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::stores::{
        build::fixtures::{Cluster, key, secret},
        scope::Scope,
    };

    const OWN: Scope<'_> = Scope::Namespace("team");
    const NOBODY: Scope<'_> = Scope::Cluster { consumer: None };
    const POOL: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p";

    fn account(name: &str, annotation: Option<&str>) -> (String, Value) {
        let annotations = json!({ "iam.gke.io/gcp-service-account": annotation.unwrap_or_default() });
        let path = format!("/api/v1/namespaces/team/serviceaccounts/{name}");
        (path, json!({ "metadata": { "name": name, "annotations": annotations } }))
    }

    fn cred_config(name: &str, config: &Value) -> (String, Value) {
        let path = format!("/api/v1/namespaces/team/configmaps/{name}");
        (path, json!({ "metadata": { "name": name }, "data": { "config.json": config.to_string() } }))
    }

    fn external_account(source: &Value) -> Value {
        json!({ "type": "external_account", "audience": POOL, "credential_source": source })
    }

    async fn cluster() -> Cluster {
        let of_person = json!({ "type": "authorized_user", "refresh_token": "hunter2" }).to_string();
        let of_federation = external_account(&json!({ "file": "/tokens/a" })).to_string();
        let of_account = |private_key: &str| json!({ "type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": private_key });
        let broken = of_account("hunter2").to_string();
        let keys = [
            ("text", "hunter2"),
            ("person", of_person.as_str()),
            ("federation", of_federation.as_str()),
            ("broken", broken.as_str()),
        ];
        let aws = [("aws_access_key_id", "AKIDEXAMPLE"), ("aws_secret_access_key", "hunter2")];
        Cluster::holding([
            secret("login", &keys),
            secret("aws", &aws),
            secret("aws-half", &aws[..1]),
            secret("aws-blank", &[aws[0], ("aws_secret_access_key", " ")]),
            secret("aws-odd", &[aws[0], ("aws_secret_access_key", "hunter2 hunter3")]),
            account("reader", None),
            account("odd", Some("a/../b")),
            cred_config("file", &external_account(&json!({ "file": "/tokens/a" }))),
            cred_config("url", &external_account(&json!({ "url": "https://idp.example/hunter2" }))),
            cred_config("run", &external_account(&json!({ "executable": { "command": "hunter2" } }))),
            cred_config(
                "own",
                &external_account(&json!({ "file": "/var/run/secrets/kubernetes.io/serviceaccount/token" })),
            ),
        ])
        .await
    }

    fn store(auth: &Value) -> Value {
        json!({ "gcpsm": { "projectID": "p-1", "auth": auth } })
    }

    fn key_of(name: &str) -> Value {
        json!({ "secretRef": { "secretAccessKeySecretRef": key("login", name) } })
    }

    fn federation(more: &Value) -> Value {
        let mut federation = json!({ "audience": POOL });
        federation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "workloadIdentityFederation": federation })
    }

    fn config(name: &str) -> Value {
        federation(&json!({ "credConfig": { "name": name, "key": "config.json" } }))
    }

    fn aws(name: &str, region: &str) -> Value {
        let keys = json!({ "region": region, "awsCredentialsSecretRef": { "name": name } });
        federation(&json!({ "awsSecurityCredentials": keys }))
    }

    async fn assert_refused(cases: &[(Value, &str)]) {
        let cluster = cluster().await;
        for (auth, told) in cases {
            let refusal = cluster.refusal(OWN, &store(auth)).await;
            let (_, problem) = refusal.split_once(": spec.provider").expect("a cause and a place");
            assert!(problem.starts_with(told), "{refusal}\nis not\n{told}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn what_is_no_service_account_key_is_named_with_its_remedy() {
        let at = ": the service account key of auth.secretRef.secretAccessKeySecretRef: ";
        let cases = [
            (json!({ "secretRef": {} }), ".gcpsm.auth.secretRef.secretAccessKeySecretRef is missing; name the Secret"),
            (
                key_of("none"),
                ".gcpsm.auth.secretRef.secretAccessKeySecretRef: Secret team/login has no key \"none\"; add it",
            ),
            (
                key_of("text"),
                "it is not a JSON key file; store the file as Google gave it out, without another encoding",
            ),
            (key_of("person"), "it is the login of a person; create a key of a service account"),
            (
                key_of("federation"),
                "it is a credential configuration; put it into a ConfigMap, and name that in \
                 auth.workloadIdentityFederation.credConfig",
            ),
            (key_of("broken"), "\"private_key\" is not a private key in PEM form; are its line breaks written as"),
        ];
        let cases =
            cases.map(|(auth, told)| (auth, if told.starts_with('.') { told.into() } else { format!("{at}{told}") }));
        let cases: Vec<_> = cases.iter().map(|(auth, told)| (auth.clone(), told.as_str())).collect();
        assert_refused(&cases).await;
    }

    #[tokio::test]
    async fn what_cannot_be_an_identity_is_named_with_its_remedy() {
        let account = |name: &str| json!({ "serviceAccountRef": { "name": name } });
        let both = json!({ "serviceAccountRef": { "name": "reader" }, "credConfig": { "name": "file", "key": "config.json" } });
        let one_of = ".gcpsm.auth.workloadIdentityFederation needs exactly one of serviceAccountRef, credConfig and \
                      awsSecurityCredentials; keep one";
        let odd =
            "serviceAccountRef: the annotation iam.gke.io/gcp-service-account: \"a/../b\" is no address of a service";
        let cases = [
            (
                json!({ "workloadIdentity": account("gone") }),
                ".gcpsm.auth.workloadIdentity.serviceAccountRef: ServiceAccount team/gone does not exist; create it"
                    .to_owned(),
            ),
            (json!({ "workloadIdentity": account("odd") }), format!(": auth.workloadIdentity.{odd}")),
            (federation(&json!({})), one_of.to_owned()),
            (federation(&both), one_of.to_owned()),
            (federation(&account("odd")), format!(": auth.workloadIdentityFederation.{odd}")),
            (
                json!({ "workloadIdentityFederation": account("reader") }),
                ": auth.workloadIdentityFederation.audience is missing; name the provider".to_owned(),
            ),
            (
                federation(&json!({ "serviceAccountRef": { "name": "reader" }, "gcpServiceAccountEmail": "a b" })),
                ": auth.workloadIdentityFederation.gcpServiceAccountEmail: \"a b\" is no address of a service"
                    .to_owned(),
            ),
            (
                config("gone"),
                ".gcpsm.auth.workloadIdentityFederation.credConfig: ConfigMap team/gone does not exist".to_owned(),
            ),
            (
                federation(&json!({ "credConfig": { "name": "file", "key": "none" } })),
                ".gcpsm.auth.workloadIdentityFederation.credConfig: ConfigMap \"file\" has no key \"none\"; add it"
                    .to_owned(),
            ),
            (
                config("run"),
                ": auth.workloadIdentityFederation.credConfig: \"credential_source.executable\" is not".to_owned(),
            ),
            (
                config("url"),
                ": auth.workloadIdentityFederation.credConfig: \"credential_source.url\" is not what".to_owned(),
            ),
            (
                config("own"),
                ": auth.workloadIdentityFederation.credConfig: \"credential_source.file\" is the op".to_owned(),
            ),
        ];
        let cases: Vec<_> = cases.iter().map(|(auth, told)| (auth.clone(), told.as_str())).collect();
        assert_refused(&cases).await;
    }

    #[tokio::test]
    async fn what_cannot_be_keys_of_aws_is_named_with_its_remedy() {
        let reference = ".gcpsm.auth.workloadIdentityFederation.awsSecurityCredentials.awsCredentialsSecretRef";
        let keys = ": auth.workloadIdentityFederation.awsSecurityCredentials: ";
        let cases = [
            (aws("gone", "eu-west-1"), format!("{reference}: Secret team/gone does not exist; create it")),
            (
                aws("aws-half", "eu-west-1"),
                format!("{reference} needs the key \"aws_secret_access_key\" in its Secret; add it"),
            ),
            (aws("aws-blank", "eu-west-1"), format!("{keys}the Secret has no aws_secret_access_key")),
            (
                aws("aws-odd", "eu-west-1"),
                format!("{keys}the keys in the Secret hold characters that keys of AWS never"),
            ),
            (aws("aws", "europe"), format!("{keys}region: \"europe\" is no region of AWS, like eu-west-1")),
        ];
        let cases: Vec<_> = cases.iter().map(|(auth, told)| (auth.clone(), told.as_str())).collect();
        assert_refused(&cases).await;
    }

    #[tokio::test]
    async fn what_is_complete_is_a_store() {
        let cluster = cluster().await;
        let mut url = config("url");
        url["workloadIdentityFederation"]["externalTokenEndpoint"] = json!("https://idp.example/hunter2");
        for auth in [
            json!({}),
            json!({ "workloadIdentity": { "serviceAccountRef": { "name": "reader" }, "clusterName": "" } }),
            federation(&json!({ "serviceAccountRef": { "name": "reader" } })),
            config("file"),
            url,
            aws("aws", "eu-west-1"),
        ] {
            let built = cluster.build(OWN, &store(&auth)).await;
            assert!(built.is_ok(), "{auth}: {built:?}");
        }
        for (member, wrong, expected) in [
            ("location", "Europe", "location: \"Europe\" is no region"),
            ("projectID", "p/q", "projectID: \"p/q\" is no id"),
        ] {
            let mut store = store(&json!({}));
            store["gcpsm"][member] = json!(wrong);
            let refusal = cluster.refusal(OWN, &store).await;
            assert!(refusal.starts_with(&format!("InvalidConfiguration: spec.provider: {expected}")), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_cluster_store_names_namespaces_or_waits_for_who_asks() {
        let cluster = cluster().await;
        for auth in [
            key_of("text"),
            json!({ "workloadIdentity": { "serviceAccountRef": { "name": "reader" } } }),
            federation(&json!({ "serviceAccountRef": { "name": "reader" } })),
            config("file"),
            aws("aws", "eu-west-1"),
        ] {
            assert_eq!(cluster.refusal(NOBODY, &store(&auth)).await, "nobody asks", "{auth}");
        }
        let named = json!({ "serviceAccountRef": { "name": "reader", "namespace": "team" } });
        assert!(cluster.build(NOBODY, &store(&federation(&named))).await.is_ok());
        let foreign = json!({ "serviceAccountRef": { "name": "reader", "namespace": "other" } });
        let refusal = cluster.refusal(OWN, &store(&federation(&foreign))).await;
        assert!(
            refusal.contains("names the namespace \"other\", but a SecretStore may only refer to its own"),
            "{refusal}"
        );
    }

    /// In the order in which they are looked at; each with the object that only it reads.
    #[tokio::test]
    async fn of_several_methods_the_first_counts() {
        let account = json!({ "serviceAccountRef": { "name": "a" } });
        let mut methods = [
            ("secretRef", json!({ "secretAccessKeySecretRef": key("a", "k") })),
            ("workloadIdentity", account.clone()),
            ("workloadIdentityFederation", account),
        ]
        .map(|(name, method)| (name.to_owned(), method))
        .to_vec();
        while let [(name, _), ..] = methods.as_slice() {
            let cluster = Cluster::holding([]).await;
            let refusal = cluster.refusal(OWN, &store(&methods.iter().cloned().collect())).await;
            assert!(refusal.starts_with(&format!("MissingCredential: spec.provider.gcpsm.auth.{name}.")), "{refusal}");
            assert_eq!(cluster.reads(), 1, "nothing of the other methods is read");
            methods.remove(0);
        }
    }
}
