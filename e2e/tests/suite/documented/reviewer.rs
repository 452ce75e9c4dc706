//! Whoever lets the API server review tokens.

use anyhow::Result;
use keyferry_e2e::harness::{ControlPlane, apply_yaml};

const REVIEWER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: documented-reviewer }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: documented-reviewer }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:auth-delegator' }
subjects: [{ kind: ServiceAccount, name: documented-reviewer, namespace: default }]
";

/// Whom a token of the reviewer is about.
pub(super) const SUBJECT: &str = "system:serviceaccount:default:documented-reviewer";

/// A token of a ServiceAccount that may do so; without audiences it is for the API server.
pub(super) async fn token(cluster: &ControlPlane, audiences: &[&str]) -> Result<String> {
    apply_yaml(&cluster.client()?, "default", REVIEWER).await?;
    cluster.token_for("default", "documented-reviewer", audiences).await
}
