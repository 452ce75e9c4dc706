//! The workload identity of GKE: a Kubernetes ServiceAccount's token becomes one of Google's.

use std::time::Duration;

use keyferry_core::{Result, SecretBytes};
use keyferry_rest::Lease;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{
    SCOPE, SERVICE_ACCOUNT_ANNOTATION, WorkloadIdentity,
    impersonation::Impersonation,
    metadata,
    refusal::refused,
    subject,
    token::{AccessToken, issued},
};
use crate::services::{Service, Services};

/// A ServiceAccount of a cluster.
pub(super) struct ClusterIdentity {
    cluster: OnceCell<Cluster>,
    identity: WorkloadIdentity,
    impersonation: Option<Impersonation>,
}

/// The names by which the cluster is known to Google.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cluster {
    location: String,
    name: String,
    project: String,
}

const OPERATION: &str = "GenerateIDBindToken";

/// Long enough to be exchanged, which follows at once.
const SERVICE_ACCOUNT_TOKEN_LIFE: Duration = Duration::from_mins(15);

impl ClusterIdentity {
    pub(super) fn new(identity: WorkloadIdentity) -> Result<Self, String> {
        let impersonation = match identity.tokens.annotation(SERVICE_ACCOUNT_ANNOTATION) {
            None | Some("") => None,
            Some(email) => {
                let wrong = |text| format!("serviceAccountRef: the annotation {SERVICE_ACCOUNT_ANNOTATION}: {text}");
                Some(Impersonation::new(email).map_err(wrong)?)
            }
        };
        Ok(Self { cluster: OnceCell::new(), identity, impersonation })
    }

    pub(super) async fn login(&self, services: &Services) -> Result<Lease<AccessToken>> {
        let cluster = self.cluster.get_or_try_init(|| self.find_cluster(services)).await?;
        let audiences = [vec![cluster.pool()], self.identity.audiences.clone()].concat();
        let token =
            subject::service_account_token(services, &*self.identity.tokens, &audiences, SERVICE_ACCOUNT_TOKEN_LIFE)
                .await?;
        let bound = bind(services, cluster, &token).await?;
        match &self.impersonation {
            None => Ok(bound),
            Some(impersonation) => impersonation.login(services, &bound.token.bearer).await,
        }
    }

    async fn find_cluster(&self, services: &Services) -> Result<Cluster> {
        let WorkloadIdentity { cluster_location, cluster_name, cluster_project, .. } = &self.identity;
        Ok(Cluster {
            location: match cluster_location {
                Some(location) => location.clone(),
                None => metadata::attribute(services, "cluster-location").await.map_err(naming("clusterLocation"))?,
            },
            name: match cluster_name {
                Some(name) => name.clone(),
                None => metadata::attribute(services, "cluster-name").await.map_err(naming("clusterName"))?,
            },
            project: match cluster_project {
                Some(project) => project.clone(),
                None => metadata::project(services).await.map_err(naming("clusterProjectID"))?,
            },
        })
    }
}

/// Tells which field spares the question that failed.
fn naming(field: &'static str) -> impl Fn(keyferry_core::Error) -> keyferry_core::Error {
    move |mut error| {
        error.message = format!("{}; name it in auth.workloadIdentity.{field}", error.message);
        error
    }
}

impl Cluster {
    fn pool(&self) -> String {
        format!("{}.svc.id.goog", self.project)
    }

    fn audience(&self) -> String {
        let Self { location, name, project } = self;
        format!(
            "identitynamespace:{}:https://container.googleapis.com/v1/projects/{project}/locations/{location}/\
             clusters/{name}",
            self.pool()
        )
    }
}

/// Exchanges the ServiceAccount's `token` for one of the same identity that Google's services accept.
async fn bind(services: &Services, cluster: &Cluster, token: &SecretBytes) -> Result<Lease<AccessToken>> {
    let body = json!({
        "grant_type": subject::TOKEN_EXCHANGE,
        "subject_token_type": subject::JWT,
        "requested_token_type": subject::ACCESS_TOKEN,
        "subject_token": token.expose_str(),
        "audience": cluster.audience(),
        "scope": SCOPE,
    });
    let answer = services
        .http
        .post(OPERATION, services.url(OPERATION, Service::SecureToken, "v1/identitybindingtoken")?)
        .about(format!("the workload identity of the cluster {}", cluster.name))
        .json(&body)
        .send()
        .await?;
    if answer.is_success() {
        return issued(&answer);
    }
    let Cluster { location, name, project } = cluster;
    Err(refused(&answer, |_| {
        format!(
            "Google does not accept the ServiceAccount's token for the cluster {name} in {location} of project \
             {project}; check auth.workloadIdentity, and that the cluster has workload identity enabled"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::Cluster;

    #[test]
    fn pool_and_audience_name_the_cluster() {
        let cluster = Cluster { location: "europe-west1".into(), name: "c-1".into(), project: "p-1".into() };
        assert_eq!(cluster.pool(), "p-1.svc.id.goog");
        assert_eq!(
            cluster.audience(),
            "identitynamespace:p-1.svc.id.goog:\
             https://container.googleapis.com/v1/projects/p-1/locations/europe-west1/clusters/c-1"
        );
    }
}
