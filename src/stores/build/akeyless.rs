//! Akeyless.

use std::sync::Arc;

use keyferry_akeyless::{AccessType, Akeyless, AkeylessConfig, Auth, Environment, KubernetesToken, ServiceAccount};
use keyferry_core::{CallObserver, Provider, SecretBytes};
use keyferry_crds::{
    AkeylessAuth, AkeylessKubernetesAuth, AkeylessSecretRef, AkeylessSpec, SecretKeySelector, ServiceAccountSelector,
};

use super::{is_vendors, misled, required, tls, variable};
use crate::stores::{
    resolve::{Resolver, Unresolved},
    scope::Open,
};

pub(super) async fn provider(
    spec: &AkeylessSpec,
    resolver: &mut Resolver<'_>,
    calls: &Arc<dyn CallObserver>,
) -> Result<Arc<dyn Provider>, Unresolved> {
    let (access_id, auth) = match &spec.auth_secret_ref.kubernetes_auth {
        Some(kubernetes) => kubernetes_auth(kubernetes, resolver).await?,
        None => access_auth(&spec.auth_secret_ref, &spec.akeyless_gw_api_url, resolver).await?,
    };
    let config = AkeylessConfig {
        gateway_url: spec.akeyless_gw_api_url.clone(),
        access_id,
        auth,
        environment: Environment::from_variables(variable).map_err(|problem| misled(&problem))?,
        ignore_cache: spec.ignore_cache.unwrap_or_default(),
        tls: tls(resolver, spec.ca_bundle.as_deref(), spec.ca_provider.as_ref()).await?,
    };
    Ok(Arc::new(Akeyless::new(config, Arc::clone(calls))?))
}

async fn kubernetes_auth(
    auth: &AkeylessKubernetesAuth,
    resolver: &mut Resolver<'_>,
) -> Result<(SecretBytes, Auth), Unresolved> {
    let token = match (&auth.service_account_ref, &auth.secret_ref) {
        (Some(account), _) => {
            let field = "authSecretRef.kubernetesAuth.serviceAccountRef";
            KubernetesToken::Minted(service_account(field, account, resolver).await?)
        }
        (None, Some(selector)) => {
            let field = "authSecretRef.kubernetesAuth.secretRef";
            KubernetesToken::Kept(resolver.secret(field, selector, Some("token"), Open::Forbidden).await?)
        }
        (None, None) => {
            let problem = "names neither serviceAccountRef nor secretRef; name one";
            return Err(resolver.invalid("authSecretRef.kubernetesAuth", problem));
        }
    };
    let auth_method = Auth::Kubernetes { config_name: auth.k8s_conf_name.clone(), token };
    Ok((SecretBytes::from(auth.access_id.as_str()), auth_method))
}

async fn access_auth(
    auth: &AkeylessAuth,
    gateway: &str,
    resolver: &mut Resolver<'_>,
) -> Result<(SecretBytes, Auth), Unresolved> {
    let (selectors, none) = (auth.selectors(), AkeylessSecretRef::default());
    let below = auth.secret_ref.as_ref().unwrap_or(&none);
    let id_field = field("accessID", below.access_id.as_ref());
    let id_selector = required(resolver, &id_field, selectors.access_id)?;
    let access_id = resolver.secret(&id_field, id_selector, None, Open::Forbidden).await?;
    let type_field = field("accessType", below.access_type.as_ref());
    let kind = required(resolver, &type_field, selectors.access_type)?;
    let kind = resolver.secret(&type_field, kind, None, Open::Forbidden).await?;
    let kind = kind.expose_str().unwrap_or_default().parse::<AccessType>();
    let kind = kind.map_err(|error| resolver.invalid(&type_field, format!("cannot be used: {error}")))?;
    let param = Param {
        field: field("accessTypeParam", below.access_type_param.as_ref()),
        id: id_selector,
        named: selectors.access_type_param,
    };
    let auth = match kind {
        AccessType::AccessKey => Auth::AccessKey { access_key: param.required(resolver).await? },
        AccessType::AwsIam => Auth::AwsIam,
        AccessType::AzureAd => {
            let service_account = match &auth.service_account_ref {
                Some(account) => Some(service_account("authSecretRef.serviceAccountRef", account, resolver).await?),
                None if is_vendors(gateway, |host| host.ends_with(".akeyless.io")) => None,
                // AWS's proof is good for this login alone, and Google's for the audience that the store names; this one
                // is a token for Azure's management API.
                None => {
                    resolver.may_show(AZURE_TOKEN, &type_field)?;
                    None
                }
            };
            Auth::AzureAd { id: param.optional(resolver).await?, service_account }
        }
        AccessType::Gcp => Auth::Gcp { audience: param.optional(resolver).await? },
        AccessType::Kubernetes => {
            let problem = "is k8s, which needs more than a key; use authSecretRef.kubernetesAuth instead";
            return Err(resolver.invalid(&type_field, problem));
        }
    };
    Ok((access_id, auth))
}

const AZURE_TOKEN: &str = "an Azure token of the operator's own, which may open more than Akeyless,";

/// Where the selector that counts stands in the manifest; `below` is the one below `secretRef`.
fn field(name: &str, below: Option<&SecretKeySelector>) -> String {
    match below.filter(|selector| !selector.is_empty()) {
        Some(_) => format!("authSecretRef.secretRef.{name}"),
        None => format!("authSecretRef.{name}"),
    }
}

/// `accessTypeParam`. If the manifest names none, it is a key of the access id's Secret.
struct Param<'a> {
    field: String,
    id: &'a SecretKeySelector,
    named: Option<&'a SecretKeySelector>,
}

const PARAM_KEY: &str = "access-type-param";

impl Param<'_> {
    async fn required(&self, resolver: &mut Resolver<'_>) -> Result<SecretBytes, Unresolved> {
        let beside = SecretKeySelector { key: Some(PARAM_KEY.to_owned()), ..self.id.clone() };
        resolver.secret(&self.field, self.named.unwrap_or(&beside), None, Open::Forbidden).await
    }

    /// Some access types can do without.
    async fn optional(&self, resolver: &mut Resolver<'_>) -> Result<Option<SecretBytes>, Unresolved> {
        if self.named.is_some() {
            return self.required(resolver).await.map(Some);
        }
        let (name, namespace) = (self.id.name.as_deref().unwrap_or_default(), self.id.namespace.as_deref());
        let mut keys = resolver.whole_secret(&self.field, name, namespace, Open::Forbidden).await?;
        Ok(keys.remove(PARAM_KEY))
    }
}

async fn service_account(
    field: &str,
    account: &ServiceAccountSelector,
    resolver: &mut Resolver<'_>,
) -> Result<ServiceAccount, Unresolved> {
    // The source adds the audiences of the manifest itself.
    Ok(ServiceAccount { source: resolver.tokens(field, account).await?, audiences: Vec::new() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{AkeylessAuth, Auth, access_auth, kubernetes_auth};
    use crate::stores::{
        build::fixtures::{Cluster, key, secret},
        scope::Scope,
    };

    const OWN: Scope<'_> = Scope::Namespace("team");

    /// How a store logs in, in a cluster with one Secret of these keys, or what stands in the way.
    async fn login(scope: Scope<'_>, auth: &Value, keys: &[(&str, &str)]) -> Result<(String, Auth), String> {
        login_at("https://api.akeyless.io", scope, auth, keys).await
    }

    async fn login_at(
        gateway: &str,
        scope: Scope<'_>,
        auth: &Value,
        keys: &[(&str, &str)],
    ) -> Result<(String, Auth), String> {
        let cluster = Cluster::holding([secret("akeyless", keys)]).await;
        let auth: AkeylessAuth = serde_json::from_value(auth.clone()).expect("a login");
        let login = cluster.resolve(scope, async |resolver| {
            let resolver = resolver.within("at");
            match &auth.kubernetes_auth {
                Some(kubernetes) => kubernetes_auth(kubernetes, resolver).await,
                None => access_auth(&auth, gateway, resolver).await,
            }
        });
        let (id, auth) = login.await?;
        Ok((id.expose_str().expect("text").to_owned(), auth))
    }

    fn of(name: &str) -> Value {
        key("akeyless", name)
    }

    /// Both places that the three selectors may stand at.
    fn layouts(selectors: &Value) -> [(&'static str, Value); 2] {
        [("", selectors.clone()), ("secretRef.", json!({"secretRef": selectors}))]
    }

    /// The access type and its param, which do not depend on the layout.
    async fn method(keys: &[(&str, &str)], selectors: &Value) -> String {
        let mut methods = Vec::new();
        for (_, auth) in layouts(selectors) {
            let (id, auth) = login(OWN, &auth, keys).await.expect("a login");
            assert_eq!(id, "p-1");
            let (kind, param) = match auth {
                Auth::AccessKey { access_key } => ("key", Some(access_key)),
                Auth::AwsIam => ("aws", None),
                Auth::AzureAd { id, .. } => ("azure", id),
                Auth::Gcp { audience } => ("gcp", audience),
                Auth::Kubernetes { .. } => ("kubernetes", None),
            };
            methods.push(format!("{kind} {}", param.as_ref().and_then(|param| param.expose_str()).unwrap_or("-")));
        }
        methods.dedup();
        methods.join(" or ")
    }

    #[tokio::test]
    async fn what_the_type_needs_is_named_or_stands_beside_the_access_id() {
        let unnamed = json!({"accessID": of("id"), "accessType": of("type")});
        let mut named = unnamed.clone();
        named["accessTypeParam"] = of("param");
        for (kind, with, beside, without) in [
            ("api_key", "key x", "key y", None),
            ("access_key", "key x", "key y", None),
            ("aws_iam", "aws -", "aws -", Some("aws -")),
            ("azure_ad", "azure x", "azure y", Some("azure -")),
            ("gcp", "gcp x", "gcp y", Some("gcp -")),
        ] {
            let keys = [("id", "p-1"), ("type", kind), ("param", "x"), ("access-type-param", "y")];
            assert_eq!(method(&keys, &named).await, with);
            assert_eq!(method(&keys, &unnamed).await, beside);
            if let Some(without) = without {
                assert_eq!(method(&keys[..2], &unnamed).await, without);
            }
        }
    }

    #[tokio::test]
    async fn each_wrong_reference_has_its_message() {
        let whole = json!({"accessID": of("id"), "accessType": of("type"), "accessTypeParam": of("param")});
        let with = |member: &str, value: Value| {
            let mut selectors = whole.clone();
            selectors[member] = value;
            selectors
        };
        // What is named nowhere is missing directly below authSecretRef.
        let (named, unnamed) = (true, false);
        let cases = [
            (with("accessID", Value::Null), "api_key", unnamed, "accessID is missing; name the Secret and its key"),
            (with("accessType", json!({})), "api_key", unnamed, "accessType is missing; name the Secret and its key"),
            (
                with("accessID", json!({"name": "akeyless"})),
                "api_key",
                named,
                "accessID has no `key`; name a key of the Secret",
            ),
            (with("accessType", json!({"key": "type"})), "api_key", named, "accessType has no `name`; set it"),
            (with("accessID", of("no")), "api_key", named, "accessID: Secret team/akeyless has no key \"no\"; add it"),
            (
                with("accessTypeParam", Value::Null),
                "api_key",
                unnamed,
                "accessTypeParam: Secret team/akeyless has no key \"access-type-param\"; add it",
            ),
            (
                with("accessTypeParam", of("no")),
                "gcp",
                named,
                "accessTypeParam: Secret team/akeyless has no key \"no\"; add it",
            ),
            (
                with("accessType", key("none", "type")),
                "api_key",
                named,
                "accessType: Secret team/none does not exist; create it",
            ),
            (
                with("accessTypeParam", json!({"name": "akeyless", "key": "param", "namespace": "other"})),
                "api_key",
                named,
                "accessTypeParam names the namespace \"other\", but a SecretStore may only refer to its own; remove \
                 `namespace`, or use a ClusterSecretStore",
            ),
            (
                with("accessType", of("param")),
                "api_key",
                named,
                "accessType cannot be used: accessType is none of api_key, access_key, aws_iam, azure_ad, gcp, k8s",
            ),
            // Without a param too: it would not help.
            (
                with("accessTypeParam", Value::Null),
                "k8s",
                named,
                "accessType is k8s, which needs more than a key; use authSecretRef.kubernetesAuth instead",
            ),
        ];
        for (selectors, kind, is_named, expected) in cases {
            for (layout, auth) in layouts(&selectors) {
                let told = login(OWN, &auth, &[("id", "p-1"), ("type", kind), ("param", "hunter2")]).await;
                let told = told.expect_err(expected);
                let (_, problem) = told.split_once(": at.authSecretRef.").expect(&told);
                assert_eq!(problem, format!("{}{expected}", if is_named { layout } else { "" }));
            }
        }
    }

    #[tokio::test]
    async fn a_cluster_store_says_where_its_credentials_are() {
        let whole = json!({"accessID": of("id"), "accessType": of("type"), "accessTypeParam": of("param")});
        for consumer in [None, Some("team")] {
            let told = login(Scope::Cluster { consumer }, &whole, &[]).await.expect_err("no namespace");
            let expected = "authSecretRef.accessID has no `namespace`, which a ClusterSecretStore must set; set it";
            assert_eq!(told, format!("InvalidConfiguration: at.{expected}"));
        }
    }

    #[tokio::test]
    async fn an_azure_token_of_the_operator_goes_to_no_server_that_a_tenant_names() {
        let keys = [("id", "p-1"), ("type", "azure_ad")];
        let at_home = |name: &str| json!({"name": "akeyless", "namespace": "team", "key": name});
        let auth = json!({"accessID": at_home("id"), "accessType": at_home("type")});
        let mut own = auth.clone();
        own["serviceAccountRef"] = json!({"name": "reader"});
        for gateway in ["", "https://api.akeyless.io", "https://api.eu.akeyless.io/v2"] {
            assert!(login_at(gateway, OWN, &auth, &keys).await.is_ok(), "{gateway}");
        }
        for gateway in ["https://gw.example", "http://api.akeyless.io", "https://akeyless.io.example", "nonsense"] {
            assert_eq!(
                login_at(gateway, OWN, &auth, &keys).await.expect_err(gateway),
                "InvalidConfiguration: at.authSecretRef.accessType would show an Azure token of the operator's own, which may \
                 open more than Akeyless, to the server that this SecretStore names; use another method, or a \
                 ClusterSecretStore"
            );
            assert!(login_at(gateway, Scope::Cluster { consumer: None }, &auth, &keys).await.is_ok());
            let told = login_at(gateway, OWN, &own, &keys).await.expect_err("there is no such account");
            assert!(told.starts_with("MissingCredential"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_kubernetes_login_needs_a_token() {
        let auth = |more: Value| {
            let mut auth = json!({"accessID": "p-1", "k8sConfName": "c"});
            auth.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            json!({"kubernetesAuth": auth})
        };
        let kept = auth(json!({"secretRef": {"name": "akeyless"}}));
        let account = auth(json!({"serviceAccountRef": {"name": "reader"}}));
        let (id, method) = login(OWN, &kept, &[("token", "jwt")]).await.expect("a login");
        assert_eq!(id, "p-1");
        assert!(format!("{method:?}").contains("Kept"), "{method:?}");
        for (auth, expected) in [
            (
                &auth(json!({})),
                "InvalidConfiguration: at.authSecretRef.kubernetesAuth names neither serviceAccountRef nor secretRef; name \
                 one",
            ),
            (
                &account,
                "MissingCredential: at.authSecretRef.kubernetesAuth.serviceAccountRef: ServiceAccount team/reader does not \
                 exist; create it",
            ),
            (
                &kept,
                "MissingCredential: at.authSecretRef.kubernetesAuth.secretRef: Secret team/akeyless has no key \"token\"; \
                 add it",
            ),
        ] {
            assert_eq!(login(OWN, auth, &[]).await.expect_err(expected), expected);
        }
        let told = login(Scope::Cluster { consumer: None }, &account, &[]).await.expect_err("nobody asks");
        assert_eq!(told, "nobody asks");
    }

    #[tokio::test]
    async fn settings_that_cannot_work_are_named() {
        let cluster =
            Cluster::holding([secret("akeyless", &[("id", "p-1"), ("type", "api_key"), ("empty", " \n")])]).await;
        let auth = json!({"accessID": of("id"), "accessType": of("type"), "accessTypeParam": of("id")});
        let store = |member: &str, value: &Value| {
            let mut spec = json!({"akeylessGWApiURL": "https://gw.example", "authSecretRef": auth});
            spec[member] = value.clone();
            json!({"akeyless": spec})
        };
        let empty = |member: &str| {
            let mut auth = auth.clone();
            auth[member] = of("empty");
            auth
        };
        for (provider, expected) in [
            (
                store("akeylessGWApiURL", &json!("gw.example")),
                "spec.provider: akeylessGWApiURL is not a URL with a host; write it like https://host:port",
            ),
            (
                store("akeylessGWApiURL", &json!("https://me:hunter2@gw.example")),
                "spec.provider: akeylessGWApiURL must not hold a user name or password",
            ),
            (store("authSecretRef", &empty("accessID")), "spec.provider: accessID is empty; set it"),
            (store("authSecretRef", &empty("accessTypeParam")), "spec.provider: accessTypeParam is empty; set it"),
            (
                store("caBundle", &json!("aHVudGVyMg==")),
                "spec.provider: caBundle or caProvider: holds no certificate; give PEM certificates",
            ),
            (
                store("caProvider", &json!({"type": "Secret", "name": "akeyless", "key": "ca.crt"})),
                "spec.provider.akeyless.caProvider: Secret \"akeyless\" has no key \"ca.crt\"; add it",
            ),
        ] {
            let told = cluster.refusal(OWN, &provider).await;
            let (_, problem) = told.split_once(": ").expect("a cause");
            assert!(problem.starts_with(expected), "{told}\nis not\n{expected}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        for address in ["", "https://gw.example:8000/api/v2/"] {
            let built = cluster.build(OWN, &store("akeylessGWApiURL", &json!(address))).await;
            assert!(built.is_ok(), "{address}: {built:?}");
        }
    }
}
