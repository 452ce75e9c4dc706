//! Which application or managed identity a ServiceAccount stands for.

use keyferry_core::{Error, Result};

use super::{ServiceAccount, Surroundings, WorkloadIdentity, entra::Proof};
use crate::config::{invalid, present, present_text};

const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";

/// Tenant, client id, and what proves them.
pub(super) fn resolve(identity: WorkloadIdentity, surroundings: &Surroundings<'_>) -> Result<(String, String, Proof)> {
    let WorkloadIdentity { client_id, service_account, tenant_id } = identity;
    let Some(account) = service_account else { return of_operator(surroundings) };
    let named = Named {
        client_id: present_text(client_id.as_ref(), "authSecretRef.clientId")?,
        tenant_id: present_text(tenant_id.as_ref(), "authSecretRef.tenantId")?,
        store_tenant: present(surroundings.tenant_id.as_ref()),
    };
    let annotation = |key| account.tokens.annotation(key).map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
    let (annotated, annotated_tenant) = (annotation(CLIENT_ID), annotation(TENANT_ID));
    let (client_id, tenant) = if surroundings.use_azure_sdk {
        (annotated.or(named.client_id), named.store_tenant.or(annotated_tenant).or(named.tenant_id))
    } else {
        let client_id = only("client id", "authSecretRef.clientId", named.client_id, CLIENT_ID, annotated)?;
        let elsewhere = named.tenant_id.or(named.store_tenant);
        (client_id, only("tenant", "authSecretRef.tenantId or tenantId", elsewhere, TENANT_ID, annotated_tenant)?)
    };
    let client_id = client_id.ok_or_else(|| nowhere("client id", CLIENT_ID, "name it in authSecretRef.clientId"))?;
    let tenant = tenant.or_else(|| surroundings.environment.tenant_id.clone());
    let tenant = tenant.ok_or_else(|| nowhere("tenant", TENANT_ID, "name it in tenantId"))?;
    Ok((tenant, client_id, Proof::ServiceAccount(account)))
}

/// What the store and its Secret say.
struct Named {
    client_id: Option<String>,
    store_tenant: Option<String>,
    tenant_id: Option<String>,
}

/// The identity that Azure's webhook gave the operator's pod.
fn of_operator(surroundings: &Surroundings<'_>) -> Result<(String, String, Proof)> {
    let environment = surroundings.environment;
    let missing = |variable: &str| {
        let text = format!(
            "authType WorkloadIdentity without serviceAccountRef: the environment variable {variable} of the operator \
             is not set; let Azure's workload identity webhook set it, or name a serviceAccountRef"
        );
        invalid("Configure", text)
    };
    let client_id = environment.client_id.clone().ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
    let tenant = environment.tenant_id.clone().ok_or_else(|| missing("AZURE_TENANT_ID"))?;
    let file = environment.federated_token_file.clone().ok_or_else(|| missing("AZURE_FEDERATED_TOKEN_FILE"))?;
    Ok((tenant, client_id, Proof::File(file)))
}

fn only(
    what: &str,
    field: &str,
    named: Option<String>,
    annotation: &str,
    annotated: Option<String>,
) -> Result<Option<String>> {
    match (named, annotated) {
        (Some(_), Some(_)) => {
            let text = format!(
                "the {what} stands both in {field} and in the annotation {annotation} of the ServiceAccount; keep one \
                 of them"
            );
            Err(invalid("Configure", text))
        }
        (named, annotated) => Ok(named.or(annotated)),
    }
}

fn nowhere(what: &str, annotation: &str, otherwise: &str) -> Error {
    let text = format!(
        "authType WorkloadIdentity: there is no {what}; annotate the ServiceAccount with {annotation}, or {otherwise}"
    );
    invalid("Configure", text)
}

impl ServiceAccount {
    /// Whom Entra ID wants tokens to be for, and the audiences of the store.
    pub(super) fn all_audiences(&self) -> Vec<String> {
        let exchange = "api://AzureADTokenExchange".to_owned();
        [vec![exchange], self.audiences.clone()].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    use async_trait::async_trait;
    use keyferry_core::{Error, ErrorKind, Result, SecretBytes, ServiceAccountToken, TokenSource, Unobserved};
    use keyferry_rest::{Client, Tls};

    use super::{CLIENT_ID, TENANT_ID, resolve};
    use crate::{
        Cloud, Environment, PROVIDER,
        auth::{ServiceAccount, Surroundings, WorkloadIdentity, entra::Proof},
        cloud::Places,
    };

    #[derive(Debug)]
    struct Annotated(BTreeMap<&'static str, &'static str>);

    #[async_trait]
    impl TokenSource for Annotated {
        async fn token(&self, _: &[String], _: Duration) -> Result<ServiceAccountToken> {
            Err(Error::new(ErrorKind::Unavailable, PROVIDER, "TokenRequest", "not in this test"))
        }

        fn annotation(&self, key: &str) -> Option<&str> {
            self.0.get(key).copied()
        }
    }

    #[derive(Default)]
    struct Case {
        annotations: &'static [(&'static str, &'static str)],
        client_id: Option<&'static str>,
        environment: Environment,
        sdk: bool,
        store_tenant: Option<&'static str>,
        tenant_id: Option<&'static str>,
    }

    impl Case {
        /// Tenant and client id, or what is wrong.
        fn resolve(self, with_account: bool) -> std::result::Result<(String, String), String> {
            let tokens = Arc::new(Annotated(self.annotations.iter().copied().collect()));
            let service_account = with_account.then_some(ServiceAccount { audiences: vec![], tokens });
            let text = |value: Option<&str>| value.map(SecretBytes::from);
            let identity =
                WorkloadIdentity { client_id: text(self.client_id), service_account, tenant_id: text(self.tenant_id) };
            let places = Places::new(Cloud::Public, None, None).unwrap();
            let surroundings = Surroundings {
                audience: "https://vault.azure.net".into(),
                environment: &self.environment,
                http: Client::new(PROVIDER, &Tls::default(), Arc::new(Unobserved)).unwrap(),
                places: &places,
                tenant_id: self.store_tenant.map(str::to_owned),
                use_azure_sdk: self.sdk,
            };
            match resolve(identity, &surroundings) {
                Ok((tenant, client_id, proof)) => {
                    assert_eq!(matches!(proof, Proof::ServiceAccount(_)), with_account);
                    Ok((tenant, client_id))
                }
                Err(error) => Err(error.message),
            }
        }
    }

    fn found(tenant: &str, client_id: &str) -> (String, String) {
        (tenant.to_owned(), client_id.to_owned())
    }

    const BOTH: &[(&str, &str)] = &[(CLIENT_ID, "annotated"), (TENANT_ID, "annotated-tenant")];

    fn operator() -> Environment {
        Environment {
            client_id: Some("operator".into()),
            federated_token_file: Some("/token".into()),
            tenant_id: Some("operator-tenant".into()),
            ..Environment::default()
        }
    }

    #[test]
    fn annotations_alone_suffice() {
        for sdk in [false, true] {
            let case = Case { annotations: BOTH, sdk, environment: operator(), ..Case::default() };
            assert_eq!(case.resolve(true).unwrap(), found("annotated-tenant", "annotated"));
        }
    }

    #[test]
    fn the_stores_own_words_suffice() {
        let case = Case { client_id: Some("c\n"), tenant_id: Some("t"), store_tenant: Some("s"), ..Case::default() };
        assert_eq!(case.resolve(true).unwrap(), found("t", "c"));
        let case = Case { client_id: Some("c"), environment: operator(), ..Case::default() };
        assert_eq!(case.resolve(true).unwrap(), found("operator-tenant", "c"));
    }

    #[test]
    fn two_sources_are_one_too_many() {
        let case = Case { annotations: BOTH, client_id: Some("c"), ..Case::default() };
        let told = case.resolve(true).unwrap_err();
        assert!(
            told.starts_with("the client id stands both in authSecretRef.clientId and in the annotation"),
            "{told}"
        );
        for case in [
            Case { annotations: BOTH, tenant_id: Some("t"), ..Case::default() },
            Case { annotations: BOTH, store_tenant: Some("t"), ..Case::default() },
        ] {
            let told = case.resolve(true).unwrap_err();
            assert!(told.starts_with("the tenant stands both in"), "{told}");
        }
    }

    #[test]
    fn with_the_sdks_manners_the_annotation_names_the_client_and_the_store_the_tenant() {
        let case = Case {
            annotations: BOTH,
            client_id: Some("c"),
            sdk: true,
            store_tenant: Some("s"),
            tenant_id: Some("t"),
            ..Case::default()
        };
        assert_eq!(case.resolve(true).unwrap(), found("s", "annotated"));
    }

    #[test]
    fn no_source_is_one_too_few() {
        let told = Case::default().resolve(true).unwrap_err();
        assert!(told.contains("no client id; annotate the ServiceAccount with azure.workload.identity/client-id"));
        let told = Case { client_id: Some("c"), ..Case::default() }.resolve(true).unwrap_err();
        assert!(told.contains("there is no tenant; annotate") && told.ends_with("or name it in tenantId"), "{told}");
    }

    #[test]
    fn without_a_service_account_the_operators_own_identity_is_taken() {
        let case = Case { environment: operator(), store_tenant: Some("s"), ..Case::default() };
        assert_eq!(case.resolve(false).unwrap(), found("operator-tenant", "operator"));
        let without = |change: fn(&mut Environment)| {
            let mut environment = operator();
            change(&mut environment);
            Case { environment, ..Case::default() }.resolve(false).unwrap_err()
        };
        assert!(without(|environment| environment.client_id = None).contains("AZURE_CLIENT_ID of the operator"));
        assert!(without(|environment| environment.tenant_id = None).contains("AZURE_TENANT_ID of the operator"));
        let file = without(|environment| environment.federated_token_file = None);
        assert!(file.contains("AZURE_FEDERATED_TOKEN_FILE of the operator is not set"), "{file}");
    }
}
