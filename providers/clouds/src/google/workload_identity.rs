//! The workload identity of GKE: a Kubernetes ServiceAccount's token becomes one of Google's.

use std::{sync::Arc, time::Duration};

use keyferry_core::{CallReport, Result, SecretBytes, TokenSource};
use keyferry_rest::Lease;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{
    Google, SCOPE, SERVICE_ACCOUNT_ANNOTATION, Service, exchange,
    impersonation::Impersonation,
    refusal::refused,
    token::{AccessToken, issued},
};

/// `workloadIdentity`: a Kubernetes ServiceAccount of a GKE cluster. If it is annotated with
/// `iam.gke.io/gcp-service-account`, the store acts as that service account, else as the ServiceAccount itself.
#[derive(Clone, Debug)]
pub struct WorkloadIdentity {
    /// `serviceAccountRef.audiences`: audiences of the ServiceAccount's token besides the cluster's identity pool.
    pub audiences: Vec<String>,
    /// `clusterLocation`; without it, the metadata server tells.
    pub cluster_location: Option<String>,
    /// `clusterName`; without it, the metadata server tells.
    pub cluster_name: Option<String>,
    /// `clusterProjectID`; without it, the metadata server tells.
    pub cluster_project: Option<String>,
    /// `serviceAccountRef`.
    pub tokens: Arc<dyn TokenSource>,
}

/// A [`WorkloadIdentity`], checked.
#[derive(Debug)]
pub struct ClusterIdentity {
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
    /// An empty name counts as absent. The text of an error begins with the field that is wrong.
    pub fn new(identity: WorkloadIdentity) -> Result<Self, String> {
        let present = |name: &String| !name.is_empty();
        let identity = WorkloadIdentity {
            cluster_location: identity.cluster_location.filter(present),
            cluster_name: identity.cluster_name.filter(present),
            cluster_project: identity.cluster_project.filter(present),
            ..identity
        };
        let impersonation = match identity.tokens.annotation(SERVICE_ACCOUNT_ANNOTATION) {
            None | Some("") => None,
            Some(email) => {
                let wrong = |text| format!("serviceAccountRef: the annotation {SERVICE_ACCOUNT_ANNOTATION}: {text}");
                Some(Impersonation::new(email).map_err(wrong)?)
            }
        };
        Ok(Self { cluster: OnceCell::new(), identity, impersonation })
    }

    /// The service account that it acts as, if it does.
    pub fn acts_as(&self) -> Option<&str> {
        self.impersonation.as_ref().map(Impersonation::email)
    }

    /// An access token.
    pub async fn login(&self, google: &Google) -> Result<Lease<AccessToken>> {
        let cluster = self.cluster.get_or_try_init(|| self.find_cluster(google)).await?;
        let audiences = [vec![cluster.pool()], self.identity.audiences.clone()].concat();
        let tokens = &*self.identity.tokens;
        let token = google.service_account_token(tokens, &audiences, SERVICE_ACCOUNT_TOKEN_LIFE).await?;
        let bound = bind(google, cluster, &token).await?;
        match &self.impersonation {
            None => Ok(bound),
            Some(impersonation) => impersonation.login(google, &bound.token.bearer).await,
        }
    }

    async fn find_cluster(&self, google: &Google) -> Result<Cluster> {
        let WorkloadIdentity { cluster_location, cluster_name, cluster_project, .. } = &self.identity;
        Ok(Cluster {
            location: match cluster_location {
                Some(location) => location.clone(),
                None => google.attribute("cluster-location").await.map_err(naming("clusterLocation"))?,
            },
            name: match cluster_name {
                Some(name) => name.clone(),
                None => google.attribute("cluster-name").await.map_err(naming("clusterName"))?,
            },
            project: match cluster_project {
                Some(project) => project.clone(),
                None => google.project().await.map_err(naming("clusterProjectID"))?,
            },
        })
    }
}

impl Google {
    /// A token of a Kubernetes ServiceAccount; the observer hears of it.
    pub async fn service_account_token(
        &self,
        tokens: &dyn TokenSource,
        audiences: &[String],
        ttl: Duration,
    ) -> Result<SecretBytes> {
        let observer = self.http.observer();
        let report = CallReport::begin(&*observer, self.http.provider(), "GenerateServiceAccountToken");
        let minted = tokens.token(audiences, ttl).await;
        report.end(minted.as_ref().map(drop).map_err(|error| error.kind));
        minted.map(|minted| minted.token)
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
async fn bind(google: &Google, cluster: &Cluster, token: &SecretBytes) -> Result<Lease<AccessToken>> {
    let body = json!({
        "grant_type": exchange::GRANT_TYPE,
        "subject_token_type": exchange::JWT,
        "requested_token_type": exchange::ACCESS_TOKEN,
        "subject_token": token.expose_str(),
        "audience": cluster.audience(),
        "scope": SCOPE,
    });
    let answer = google
        .http
        .post(OPERATION, google.url(OPERATION, Service::SecureToken, "v1/identitybindingtoken")?)
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
