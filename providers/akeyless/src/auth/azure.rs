//! Access tokens of Entra ID: for a workload identity, a managed identity, or whatever the operator itself is.

use std::path::Path;

use keyferry_clouds::{
    azure::{METADATA, ManagedIdentity, Which, issued},
    file::{self, Unreadable},
};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, Url};

use super::method::mint;
use crate::{
    PROVIDER,
    config::{ServiceAccount, credential, invalid},
    environment::Azure,
};

const TOKEN: &str = "GetAzureToken";
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[derive(Debug)]
pub(crate) struct Identity {
    http: Client,
    azure: Azure,
    source: Source,
}

/// Whose token it is.
#[derive(Debug)]
enum Source {
    /// Of the operator itself: a client secret, the workload identity of its pod, or the managed identity of its node.
    Ambient,
    /// Of a managed identity of the operator's node, by its object id.
    Managed(String),
    /// Of an application that trusts a ServiceAccount.
    Workload { account: ServiceAccount, client: String, tenant: String },
}

/// How an application proves itself.
enum Proof<'a> {
    Assertion(&'a SecretBytes),
    Secret(&'a SecretBytes),
}

impl Identity {
    pub(super) fn new(http: Client, azure: Azure, id: Option<String>, account: Option<ServiceAccount>) -> Result<Self> {
        let source = match (account, id) {
            (None, None) => Source::Ambient,
            (None, Some(object_id)) => Source::Managed(object_id),
            (Some(account), id) => {
                let annotated =
                    |key: &str| account.source.annotation(key).filter(|id| !id.is_empty()).map(str::to_owned);
                let missing = |what: &str, annotation: &str, other: &str| {
                    invalid(format!(
                        "no {what} for access type azure_ad; annotate the ServiceAccount with {annotation} or {other}"
                    ))
                };
                let client = annotated(CLIENT_ID).or(id);
                let client = client.ok_or_else(|| missing("client id", CLIENT_ID, "name it in accessTypeParam"))?;
                let tenant = annotated(TENANT_ID).or_else(|| azure.tenant_id.clone());
                let tenant =
                    tenant.ok_or_else(|| missing("tenant id", TENANT_ID, "set AZURE_TENANT_ID of the operator"))?;
                Source::Workload { account, client, tenant }
            }
        };
        Ok(Self { http, azure, source })
    }

    pub(super) async fn token(&self) -> Result<SecretBytes> {
        match &self.source {
            Source::Managed(object_id) => self.managed(Some(Which::ObjectId(object_id.clone()))).await,
            Source::Workload { account, client, tenant } => {
                let mut audiences = account.audiences.clone();
                audiences.push(EXCHANGE_AUDIENCE.to_owned());
                let assertion = mint(account, &audiences).await?;
                self.application(client, tenant, Proof::Assertion(&assertion)).await
            }
            Source::Ambient => match &self.azure {
                Azure { client_id: Some(client), tenant_id: Some(tenant), client_secret: Some(secret), .. } => {
                    self.application(client, tenant, Proof::Secret(secret)).await
                }
                Azure {
                    client_id: Some(client), tenant_id: Some(tenant), federated_token_file: Some(file), ..
                } => {
                    let assertion = read(file).await?;
                    self.application(client, tenant, Proof::Assertion(&assertion)).await
                }
                Azure { client_id, .. } => self.managed(client_id.clone().map(Which::ClientId)).await,
            },
        }
    }

    async fn managed(&self, which: Option<Which>) -> Result<SecretBytes> {
        let metadata = self.azure.metadata.clone().map_or_else(|| BaseUrl::parse(METADATA), Ok);
        let metadata = metadata.map_err(|error| invalid(format!("the address of Azure's metadata service {error}")))?;
        let resource = format!("{}/", self.azure.cloud.management());
        ManagedIdentity::new(self.http.clone(), &metadata, resource, which, "access type azure_ad")?.token().await
    }

    async fn application(&self, client: &str, tenant: &str, proof: Proof<'_>) -> Result<SecretBytes> {
        let scope = format!("{}/.default", self.azure.cloud.management());
        let mut form = vec![("client_id", client), ("grant_type", "client_credentials"), ("scope", scope.as_str())];
        match proof {
            Proof::Assertion(assertion) => {
                form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", super::text(assertion))]);
            }
            Proof::Secret(secret) => form.push(("client_secret", super::text(secret))),
        }
        let url = self.token_endpoint(tenant)?;
        let answer = self.http.post(TOKEN, url).about("the login at Entra ID").form(&form).send().await?;
        if let 400..=404 = answer.status() {
            let text = format!("Entra ID refused the login for access type azure_ad; {}", self.remedy());
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        Ok(issued(&answer)?.token)
    }

    fn remedy(&self) -> &'static str {
        match (&self.source, &self.azure.client_secret) {
            (Source::Ambient, Some(_)) => {
                "check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET of the operator"
            }
            (Source::Ambient, None) | (Source::Managed(_) | Source::Workload { .. }, _) => {
                "check client id and tenant id, and that the application trusts the ServiceAccount (issuer, subject, \
                 audience)"
            }
        }
    }

    fn token_endpoint(&self, tenant: &str) -> Result<Url> {
        let authority = self.azure.authority.clone().map_or_else(|| BaseUrl::parse(self.azure.cloud.authority()), Ok);
        let url = authority.and_then(|authority| authority.join(&format!("{tenant}/oauth2/v2.0/token")));
        url.map_err(|error| invalid(format!("the address of Entra ID {error}")))
    }
}

async fn read(path: &Path) -> Result<SecretBytes> {
    let token = file::read(path).await.map_err(|why| {
        let why = match why {
            Unreadable::Absent => "does not exist; mount it into the operator's pod",
            Unreadable::Denied | Unreadable::Failed => "cannot be read by the operator; check its volume",
            Unreadable::Irregular | Unreadable::TooLong => "is no file with a token; correct the operator's Deployment",
        };
        let text = format!("the file that AZURE_FEDERATED_TOKEN_FILE of the operator names {why}");
        Error::new(ErrorKind::InvalidConfig, PROVIDER, TOKEN, text)
    })?;
    credential("the token in the file that AZURE_FEDERATED_TOKEN_FILE names", &token)
}
