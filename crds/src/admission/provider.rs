//! Rules of each provider.

use regex::Regex;
use url::Url;

use super::{Found, problem};
use crate::{
    AkeylessSpec, AwsSpec, AzureEnvironment, AzureKvSpec, FakeSpec, InfisicalSpec, KubernetesSpec, ProviderSpec,
    SecretKeySelector, VaultAuth, VaultSpec, VaultVersion, WebhookSpec,
};

pub(super) fn check(provider: &ProviderSpec, found: &mut Found) {
    match provider {
        ProviderSpec::Akeyless(spec) => akeyless(spec, found),
        ProviderSpec::Aws(spec) => aws(spec, found),
        ProviderSpec::AzureKv(spec) => azure(spec, found),
        ProviderSpec::Fake(spec) => fake(spec, found),
        ProviderSpec::GcpSm(_) => {}
        ProviderSpec::Infisical(spec) => infisical(spec, found),
        ProviderSpec::Kubernetes(spec) => kubernetes(spec, found),
        ProviderSpec::Vault(spec) => vault(spec, found),
        ProviderSpec::Webhook(spec) => webhook(spec, found),
    }
}

fn akeyless(spec: &AkeylessSpec, found: &mut Found) {
    let url = &spec.akeyless_gw_api_url;
    let has_host = url.is_empty() || Url::parse(url).is_ok_and(|url| url.has_host());
    found.when(!has_host, "spec.provider.akeyless.akeylessGWApiURL", problem::URL);
    let at = "spec.provider.akeyless.authSecretRef";
    let auth = &spec.auth_secret_ref;
    if let Some(kubernetes) = &auth.kubernetes_auth {
        found.when(kubernetes.access_id.is_empty(), format!("{at}.kubernetesAuth.accessID"), problem::EMPTY);
        found.when(kubernetes.k8s_conf_name.is_empty(), format!("{at}.kubernetesAuth.k8sConfName"), problem::EMPTY);
    } else {
        let complete =
            auth.selectors().access_id.is_some_and(|id| !lacks(id.name.as_deref()) && !lacks(id.key.as_deref()));
        found.when(!complete, at, problem::AKEYLESS_ACCESS_ID);
    }
}

fn aws(spec: &AwsSpec, found: &mut Found) {
    let region = Regex::new(problem::AWS_REGION_PATTERN).is_ok_and(|pattern| pattern.is_match(&spec.region));
    found.when(!region, "spec.provider.aws.region", problem::AWS_REGION);
    let tags = spec.custom_session_tags.iter().flatten();
    let reserved = tags.filter(|(key, _)| ["esoNamespace", "esoStoreName", "esoStoreKind"].contains(&key.as_str()));
    found.when(reserved.count() > 0, "spec.provider.aws.customSessionTags", problem::AWS_SESSION_TAGS);
    if let Some(deletion) = &spec.secrets_manager {
        let at = "spec.provider.aws.secretsManager";
        let window = deletion.recovery_window_in_days.unwrap_or_default();
        let known = window == 0 || (7..=30).contains(&window);
        found.when(!known, format!("{at}.recoveryWindowInDays"), problem::AWS_RECOVERY_WINDOW);
        let forced = deletion.force_delete_without_recovery.unwrap_or_default();
        found.when(forced && window != 0, at, problem::AWS_FORCED);
    }
}

fn azure(spec: &AzureKvSpec, found: &mut Found) {
    let at = "spec.provider.azurekv";
    if let Some(cloud) = &spec.custom_cloud_config {
        found.when(!spec.use_azure_sdk, at, problem::AZURE_SDK);
        let field = format!("{at}.customCloudConfig.activeDirectoryEndpoint");
        found.when(cloud.active_directory_endpoint.is_empty(), field, problem::EMPTY);
    } else {
        found.when(spec.environment_type == AzureEnvironment::AzureStackCloud, at, problem::AZURE_STACK);
    }
}

fn fake(spec: &FakeSpec, found: &mut Found) {
    for (index, data) in spec.data.iter().enumerate() {
        let at = format!("spec.provider.fake.data[{index}]");
        found.when(data.key.is_empty(), format!("{at}.key"), problem::EMPTY);
        let empty = data.value.as_ref().is_none_or(|value| value.is_empty());
        found.when(empty, format!("{at}.value"), problem::EMPTY);
    }
}

fn infisical(spec: &InfisicalSpec, found: &mut Found) {
    let at = "spec.provider.infisical";
    let scope = &spec.secrets_scope;
    found.when(scope.environment_slug.is_empty(), format!("{at}.secretsScope.environmentSlug"), problem::EMPTY);
    found.when(scope.project_slug.is_empty(), format!("{at}.secretsScope.projectSlug"), problem::EMPTY);
    if let Some(auth) = &spec.auth.universal {
        let at = format!("{at}.auth.universalAuthCredentials");
        found.when(lacks(auth.client_id.key.as_deref()), format!("{at}.clientId"), problem::KEY);
        found.when(lacks(auth.client_secret.key.as_deref()), format!("{at}.clientSecret"), problem::KEY);
    }
}

fn kubernetes(spec: &KubernetesSpec, found: &mut Found) {
    let Some(auth) = &spec.auth else { return };
    let at = "spec.provider.kubernetes.auth";
    let methods = [auth.cert.is_some(), auth.token.is_some(), auth.service_account.is_some()];
    found.when(methods.into_iter().filter(|given| *given).count() != 1, at, problem::KUBERNETES_AUTH);
    let mut complete = |field: &str, selector: Option<&SecretKeySelector>| {
        let complete =
            selector.is_some_and(|selector| !lacks(selector.name.as_deref()) && !lacks(selector.key.as_deref()));
        found.when(!complete, format!("{at}.{field}"), problem::NAME_AND_KEY);
    };
    if let Some(cert) = &auth.cert {
        complete("cert.clientCert", cert.client_cert.as_ref());
        complete("cert.clientKey", cert.client_key.as_ref());
    }
    if let Some(token) = &auth.token {
        complete("token.bearerToken", token.bearer_token.as_ref());
    }
}

fn vault(spec: &VaultSpec, found: &mut Found) {
    let at = "spec.provider.vault";
    let checked = spec.check_and_set.is_some() && spec.version == VaultVersion::V1;
    found.when(checked, at, problem::VAULT_CHECK_AND_SET);
    if let Some(tls) = &spec.tls {
        let half = tls.cert_secret_ref.is_some() != tls.key_secret_ref.is_some();
        found.when(half, format!("{at}.tls"), problem::VAULT_TLS);
    }
    let Some(VaultAuth { app_role, jwt, .. }) = &spec.auth else { return };
    if let Some(role) = app_role {
        let nameless = lacks(role.role_id.as_deref()) && role.role_ref.is_none();
        found.when(nameless, format!("{at}.auth.appRole"), problem::VAULT_ROLE);
    }
    if let Some(jwt) = jwt {
        let sourceless = jwt.secret_ref.is_none() && jwt.kubernetes_service_account_token.is_none();
        found.when(sourceless, format!("{at}.auth.jwt"), problem::VAULT_JWT);
    }
}

fn webhook(spec: &WebhookSpec, found: &mut Found) {
    let at = "spec.provider.webhook";
    found.duration(&format!("{at}.timeout"), spec.timeout.as_ref());
    let methodless = spec.auth.as_ref().is_some_and(|auth| auth.ntlm.is_none());
    found.when(methodless, format!("{at}.auth"), problem::WEBHOOK_AUTH);
}

fn lacks(text: Option<&str>) -> bool {
    text.unwrap_or_default().is_empty()
}
