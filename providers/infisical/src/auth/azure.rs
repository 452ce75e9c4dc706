//! The token of the managed identity of the operator's node.

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, Url, secret};
use serde::Deserialize;

use super::text::Text;
use crate::config::invalid;

const OPERATION: &str = "GetAzureManagedIdentityToken";
const MANAGEMENT_API: &str = "https://management.azure.com/";

#[derive(Debug)]
pub(super) struct Azure {
    http: Client,
    url: Url,
    resource: String,
    /// Which of several managed identities.
    client_id: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(deserialize_with = "secret")]
    access_token: SecretBytes,
}

impl Azure {
    pub(super) fn new(http: Client, metadata: &str, resource: Option<SecretBytes>) -> Result<Self> {
        let url = BaseUrl::parse(metadata).and_then(|base| base.join("metadata/identity/oauth2/token"));
        let url = url.map_err(|error| invalid(format!("the address of Azure's metadata service {error}")))?;
        let resource = match resource.filter(|resource| !resource.trimmed().is_empty()) {
            Some(resource) => Text::parse(&resource, "azureAuthCredentials.resource")?.as_str().to_owned(),
            None => MANAGEMENT_API.to_owned(),
        };
        let (resource, client_id) = match resource.split_once("&client_id=") {
            Some((resource, client_id)) => (resource.to_owned(), Some(client_id.to_owned())),
            None => (resource, None),
        };
        Ok(Self { http, url, resource, client_id })
    }

    pub(super) async fn token(&self) -> Result<SecretBytes> {
        let request = self
            .http
            .get(OPERATION, self.url.clone())
            .about("the managed identity of this node")
            .header("Metadata", "true")
            .query("api-version", "2018-02-01")
            .query("resource", &self.resource);
        let request = match &self.client_id {
            Some(id) => request.query("client_id", id),
            None => request,
        };
        let answer = request.send().await?;
        // Whatever is missing here, it is not a secret of the backend.
        if let 400..=404 = answer.status() {
            let text = "Azure's metadata service gives no token for auth.azureAuthCredentials; assign a managed identity \
                        to the nodes, and check auth.azureAuthCredentials.resource";
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let token: Token = answer.json()?;
        Ok(token.access_token)
    }
}
