//! What the methods of logging in differ in beside their proofs.

use super::proof::Proof;

pub(super) struct Method {
    /// As the metrics know it.
    pub(super) operation: &'static str,
    /// As the API's path knows it.
    pub(super) endpoint: &'static str,
    /// The member of `auth`.
    pub(super) field: &'static str,
    /// What to look at when the login is refused.
    pub(super) check: &'static str,
}

/// The method that `proof` belongs to.
pub(super) fn method(proof: &Proof) -> Method {
    let (operation, endpoint, field, check) = match proof {
        Proof::Aws(..) => (
            "MachineIdentityLoginViaAwsAuth",
            "aws-auth",
            "awsAuthCredentials",
            "identityId, and that the identity's AWS Auth allows the account and the role of the operator's pod",
        ),
        Proof::Azure(..) => (
            "MachineIdentityLoginViaAzureAuth",
            "azure-auth",
            "azureAuthCredentials",
            "identityId, and that the identity's Azure Auth names the tenant, the resource and the service principal",
        ),
        Proof::GcpIam(..) => (
            "MachineIdentityLoginViaGcpServiceAccountAuth",
            "gcp-auth",
            "gcpIamAuthCredentials",
            "identityId, and that the identity's GCP Auth is of type IAM and allows the service account",
        ),
        Proof::GcpIdToken(..) => (
            "MachineIdentityLoginViaGcpIdTokenAuth",
            "gcp-auth",
            "gcpIdTokenAuthCredentials",
            "identityId, and that the identity's GCP Auth is of type GCE and allows the service account",
        ),
        Proof::Jwt { .. } => (
            "MachineIdentityLoginViaJwtAuth",
            "jwt-auth",
            "jwtAuthCredentials",
            "that the JWT has not expired and has the signer, issuer, subject and audience that the identity's JWT Auth \
             asks for",
        ),
        Proof::Kubernetes(..) => (
            "MachineIdentityLoginViaKubernetesAuth",
            "kubernetes-auth",
            "kubernetesAuthCredentials",
            "identityId, and that the identity's Kubernetes Auth allows the operator's namespace and ServiceAccount and \
             can reach this cluster's API server",
        ),
        Proof::Ldap { .. } => (
            "MachineIdentityLoginViaLdapAuth",
            "ldap-auth",
            "ldapAuthCredentials",
            "ldapUsername and ldapPassword, and the identity's LDAP Auth",
        ),
        Proof::Oci(..) => (
            "MachineIdentityLoginViaOciAuth",
            "oci-auth",
            "ociAuthCredentials",
            "the key, its fingerprint, userId, tenancyId and region, and whom the identity's OCI Auth allows",
        ),
        // Nothing is sent, so nothing can be refused.
        Proof::Token(_) => {
            ("MachineIdentityLoginViaTokenAuth", "token-auth", "tokenAuthCredentials", "the access token")
        }
        Proof::Universal { .. } => (
            "MachineIdentityLoginViaUniversalAuth",
            "universal-auth",
            "universalAuthCredentials",
            "clientId and clientSecret, which may have expired or be limited to other IP addresses",
        ),
    };
    Method { operation, endpoint, field, check }
}
