//! Every object that a store refers to.

#[cfg(test)]
mod tests;

use crate::{
    AkeylessSpec, AwsJwtAuth, AwsSecretRef, AwsSpec, AzureKvSpec, CaProvider, CaProviderType, GcpAuth, GcpSmSpec,
    GcpWorkloadIdentity, InfisicalAuth, InfisicalSpec, KubernetesSpec, ProviderSpec, SecretKeySelector,
    SecretStoreSpec, ServiceAccountSelector, VaultAuth, VaultSpec, WebhookSpec,
};

/// An object that a store refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where it stands in the manifest, such as `spec.provider.vault.auth.tokenSecretRef`.
    pub field: String,
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its namespace, if one is named.
    pub namespace: Option<&'a str>,
    /// Whether a ClusterSecretStore must name the namespace. Otherwise it is that of whoever uses the store.
    pub needs_namespace: bool,
}

/// Kinds of objects that stores refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
    /// A ServiceAccount.
    ServiceAccount,
}

impl SecretStoreSpec {
    /// Every object that the store refers to. Selectors that name nothing are left out.
    pub fn references(&self) -> Vec<Reference<'_>> {
        match &self.provider {
            ProviderSpec::Akeyless(spec) => akeyless(spec),
            ProviderSpec::Aws(spec) => aws(spec),
            ProviderSpec::AzureKv(spec) => azure(spec),
            ProviderSpec::Fake(_) => Vec::new(),
            ProviderSpec::GcpSm(spec) => gcp(spec),
            ProviderSpec::Infisical(spec) => infisical(spec),
            ProviderSpec::Kubernetes(spec) => kubernetes(spec),
            ProviderSpec::Vault(spec) => vault(spec),
            ProviderSpec::Webhook(spec) => webhook(spec),
        }
    }
}

fn akeyless(spec: &AkeylessSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("akeyless");
    let auth = &spec.auth_secret_ref;
    if let Some(kubernetes) = &auth.kubernetes_auth {
        found.account("authSecretRef.kubernetesAuth.serviceAccountRef", kubernetes.service_account_ref.as_ref());
        found.own_secret("authSecretRef.kubernetesAuth.secretRef", kubernetes.secret_ref.as_ref());
    }
    if let Some(below) = &auth.secret_ref {
        found.own_secret("authSecretRef.secretRef.accessID", below.access_id.as_ref());
        found.own_secret("authSecretRef.secretRef.accessType", below.access_type.as_ref());
        found.own_secret("authSecretRef.secretRef.accessTypeParam", below.access_type_param.as_ref());
    }
    found.own_secret("authSecretRef.accessID", auth.access_id.as_ref());
    found.own_secret("authSecretRef.accessType", auth.access_type.as_ref());
    found.own_secret("authSecretRef.accessTypeParam", auth.access_type_param.as_ref());
    found.account("authSecretRef.serviceAccountRef", auth.service_account_ref.as_ref());
    found.ca("caProvider", spec.ca_provider.as_ref());
    found.all
}

fn aws(spec: &AwsSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("aws");
    if let Some(auth) = &spec.auth {
        found.aws_login("auth", auth.jwt.as_ref(), auth.secret_ref.as_ref());
    }
    found.all
}

fn azure(spec: &AzureKvSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("azurekv");
    if let Some(auth) = &spec.auth_secret_ref {
        found.secret("authSecretRef.clientId", auth.client_id.as_ref());
        found.secret("authSecretRef.clientSecret", auth.client_secret.as_ref());
        found.secret("authSecretRef.clientCertificate", auth.client_certificate.as_ref());
        found.secret("authSecretRef.tenantId", auth.tenant_id.as_ref());
    }
    found.account("serviceAccountRef", spec.service_account_ref.as_ref());
    found.all
}

fn gcp(spec: &GcpSmSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("gcpsm");
    let Some(GcpAuth { secret_ref, workload_identity, workload_identity_federation }) = &spec.auth else {
        return found.all;
    };
    found.secret(
        "auth.secretRef.secretAccessKeySecretRef",
        secret_ref.as_ref().and_then(|key| key.secret_access_key.as_ref()),
    );
    found.workload_identity("auth.workloadIdentity", workload_identity.as_ref());
    if let Some(federation) = workload_identity_federation {
        let at = "auth.workloadIdentityFederation";
        found.account(&format!("{at}.serviceAccountRef"), federation.service_account_ref.as_ref());
        if let Some(config) = &federation.cred_config {
            found.push(&format!("{at}.credConfig"), ReferenceKind::ConfigMap, config.namespace.as_deref(), false);
        }
        if let Some(aws) = &federation.aws_security_credentials {
            let field = format!("{at}.awsSecurityCredentials.awsCredentialsSecretRef");
            let namespace = aws.aws_credentials_secret_ref.namespace.as_deref();
            found.push(&field, ReferenceKind::Secret, namespace, false);
        }
    }
    found.all
}

fn infisical(spec: &InfisicalSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("infisical");
    let InfisicalAuth { universal, azure, gcp_id_token, gcp_iam, jwt, ldap, oci, kubernetes, aws, token } = &spec.auth;
    let mut secret = |method: &str, field: &str, selector| {
        found.secret(&format!("auth.{method}AuthCredentials.{field}"), Some(selector));
    };
    if let Some(auth) = universal {
        secret("universal", "clientId", &auth.client_id);
        secret("universal", "clientSecret", &auth.client_secret);
    }
    if let Some(auth) = azure {
        secret("azure", "identityId", &auth.identity_id);
        auth.resource.iter().for_each(|selector| secret("azure", "resource", selector));
    }
    if let Some(auth) = gcp_id_token {
        secret("gcpIdToken", "identityId", &auth.identity_id);
    }
    if let Some(auth) = gcp_iam {
        secret("gcpIam", "identityId", &auth.identity_id);
        secret("gcpIam", "serviceAccountKeyFilePath", &auth.service_account_key_file_path);
    }
    if let Some(auth) = jwt {
        secret("jwt", "identityId", &auth.identity_id);
        secret("jwt", "jwt", &auth.jwt);
    }
    if let Some(auth) = ldap {
        secret("ldap", "identityId", &auth.identity_id);
        secret("ldap", "ldapPassword", &auth.ldap_password);
        secret("ldap", "ldapUsername", &auth.ldap_username);
    }
    if let Some(auth) = oci {
        secret("oci", "identityId", &auth.identity_id);
        secret("oci", "privateKey", &auth.private_key);
        auth.private_key_passphrase.iter().for_each(|selector| secret("oci", "privateKeyPassphrase", selector));
        secret("oci", "fingerprint", &auth.fingerprint);
        secret("oci", "userId", &auth.user_id);
        secret("oci", "tenancyId", &auth.tenancy_id);
        secret("oci", "region", &auth.region);
    }
    if let Some(auth) = kubernetes {
        secret("kubernetes", "identityId", &auth.identity_id);
        let path = auth.service_account_token_path.iter();
        path.for_each(|selector| secret("kubernetes", "serviceAccountTokenPath", selector));
    }
    if let Some(auth) = aws {
        secret("aws", "identityId", &auth.identity_id);
    }
    if let Some(auth) = token {
        secret("token", "accessToken", &auth.access_token);
    }
    found.ca("caProvider", spec.ca_provider.as_ref());
    found.all
}

fn kubernetes(spec: &KubernetesSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("kubernetes");
    if let Some(auth) = &spec.auth {
        if let Some(cert) = &auth.cert {
            found.own_secret("auth.cert.clientCert", cert.client_cert.as_ref());
            found.own_secret("auth.cert.clientKey", cert.client_key.as_ref());
        }
        found.own_secret("auth.token.bearerToken", auth.token.as_ref().and_then(|token| token.bearer_token.as_ref()));
        found.account("auth.serviceAccount", auth.service_account.as_ref());
    }
    found.secret("authRef", spec.auth_ref.as_ref());
    found.ca("server.caProvider", spec.server.as_ref().and_then(|server| server.ca_provider.as_ref()));
    found.all
}

fn vault(spec: &VaultSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("vault");
    if let Some(auth) = &spec.auth {
        vault_auth(&mut found, auth);
    }
    if let Some(tls) = &spec.tls {
        found.secret("tls.certSecretRef", tls.cert_secret_ref.as_ref());
        found.secret("tls.keySecretRef", tls.key_secret_ref.as_ref());
    }
    found.ca("caProvider", spec.ca_provider.as_ref());
    found.all
}

fn vault_auth<'a>(found: &mut Found<'a>, auth: &'a VaultAuth) {
    found.secret("auth.tokenSecretRef", auth.token_secret_ref.as_ref());
    if let Some(role) = &auth.app_role {
        found.secret("auth.appRole.roleRef", role.role_ref.as_ref());
        found.secret("auth.appRole.secretRef", Some(&role.secret_ref));
    }
    if let Some(kubernetes) = &auth.kubernetes {
        found.account("auth.kubernetes.serviceAccountRef", kubernetes.service_account_ref.as_ref());
        found.secret("auth.kubernetes.secretRef", kubernetes.secret_ref.as_ref());
    }
    found.secret("auth.ldap.secretRef", auth.ldap.as_ref().and_then(|ldap| ldap.secret_ref.as_ref()));
    found.secret("auth.userPass.secretRef", auth.user_pass.as_ref().and_then(|user| user.secret_ref.as_ref()));
    if let Some(jwt) = &auth.jwt {
        found.secret("auth.jwt.secretRef", jwt.secret_ref.as_ref());
        let token = jwt.kubernetes_service_account_token.as_ref().map(|token| &token.service_account_ref);
        found.account("auth.jwt.kubernetesServiceAccountToken.serviceAccountRef", token);
    }
    if let Some(cert) = &auth.cert {
        found.secret("auth.cert.clientCert", cert.client_cert.as_ref());
        found.secret("auth.cert.secretRef", cert.secret_ref.as_ref());
    }
    if let Some(iam) = &auth.iam {
        found.aws_login("auth.iam", iam.jwt.as_ref(), iam.secret_ref.as_ref());
    }
    if let Some(gcp) = &auth.gcp {
        let key = gcp.secret_ref.as_ref().and_then(|key| key.secret_access_key.as_ref());
        found.secret("auth.gcp.secretRef.secretAccessKeySecretRef", key);
        found.workload_identity("auth.gcp.workloadIdentity", gcp.workload_identity.as_ref());
        found.account("auth.gcp.serviceAccountRef", gcp.service_account_ref.as_ref());
    }
}

fn webhook(spec: &WebhookSpec) -> Vec<Reference<'_>> {
    let mut found = Found::of("webhook");
    for (index, secret) in spec.secrets.iter().flatten().enumerate() {
        found.secret(&format!("secrets[{index}].secretRef"), Some(&secret.secret_ref));
    }
    if let Some(ntlm) = spec.auth.as_ref().and_then(|auth| auth.ntlm.as_ref()) {
        found.secret("auth.ntlm.usernameSecret", Some(&ntlm.username_secret));
        found.secret("auth.ntlm.passwordSecret", Some(&ntlm.password_secret));
    }
    found.ca("caProvider", spec.ca_provider.as_ref());
    found.all
}

/// References of one provider. Fields are named from the provider on.
struct Found<'a> {
    provider: &'static str,
    all: Vec<Reference<'a>>,
}

impl<'a> Found<'a> {
    fn of(provider: &'static str) -> Self {
        Self { provider, all: Vec::new() }
    }

    fn push(&mut self, field: &str, kind: ReferenceKind, namespace: Option<&'a str>, needs_namespace: bool) {
        let field = format!("spec.provider.{}.{field}", self.provider);
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        self.all.push(Reference { field, kind, namespace, needs_namespace });
    }

    fn secret(&mut self, field: &str, selector: Option<&'a SecretKeySelector>) {
        if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
            self.push(field, ReferenceKind::Secret, selector.namespace.as_deref(), false);
        }
    }

    /// A Secret that is the store's own, never that of whoever uses it.
    fn own_secret(&mut self, field: &str, selector: Option<&'a SecretKeySelector>) {
        if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
            self.push(field, ReferenceKind::Secret, selector.namespace.as_deref(), true);
        }
    }

    fn account(&mut self, field: &str, selector: Option<&'a ServiceAccountSelector>) {
        if let Some(selector) = selector {
            self.push(field, ReferenceKind::ServiceAccount, selector.namespace.as_deref(), false);
        }
    }

    fn ca(&mut self, field: &str, provider: Option<&'a CaProvider>) {
        if let Some(provider) = provider {
            let kind = match provider.type_ {
                CaProviderType::ConfigMap => ReferenceKind::ConfigMap,
                CaProviderType::Secret => ReferenceKind::Secret,
            };
            self.push(field, kind, provider.namespace.as_deref(), true);
        }
    }

    fn aws_login(&mut self, field: &str, jwt: Option<&'a AwsJwtAuth>, key: Option<&'a AwsSecretRef>) {
        let account = jwt.and_then(|jwt| jwt.service_account_ref.as_ref());
        self.account(&format!("{field}.jwt.serviceAccountRef"), account);
        if let Some(key) = key {
            self.secret(&format!("{field}.secretRef.accessKeyIDSecretRef"), key.access_key_id.as_ref());
            self.secret(&format!("{field}.secretRef.secretAccessKeySecretRef"), key.secret_access_key.as_ref());
            self.secret(&format!("{field}.secretRef.sessionTokenSecretRef"), key.session_token.as_ref());
        }
    }

    fn workload_identity(&mut self, field: &str, identity: Option<&'a GcpWorkloadIdentity>) {
        let account = identity.map(|identity| &identity.service_account_ref);
        self.account(&format!("{field}.serviceAccountRef"), account);
    }
}
