//! The metadata service, which tells a node or pod in Azure who it is.

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{Answer, BaseUrl, Client, Lease, Url};

use super::{OPERATION, token::issued};
use crate::config::invalid;

/// A managed identity of the operator's node or pod.
pub(super) struct ManagedIdentity {
    client_id: Option<String>,
    url: Url,
}

const METADATA: &str = "http://169.254.169.254";
const API_VERSION: &str = "2018-02-01";

impl ManagedIdentity {
    /// `client_id` chooses one of several.
    pub(super) fn new(metadata: Option<BaseUrl>, client_id: Option<String>) -> Result<Self> {
        let url = metadata
            .map_or_else(|| BaseUrl::parse(METADATA), Ok)
            .and_then(|base| base.join("metadata/identity/oauth2/token"))
            .map_err(|error| invalid(OPERATION, format!("the address of Azure's metadata service {error}")))?;
        Ok(Self { client_id, url })
    }

    pub(super) async fn login(&self, http: &Client, audience: &str) -> Result<Lease<SecretBytes>> {
        let mut request = http
            .get(OPERATION, self.url.clone())
            .about("the managed identity")
            .header("Metadata", "true")
            .query("api-version", API_VERSION)
            .query("resource", audience);
        if let Some(client_id) = &self.client_id {
            request = request.query("client_id", client_id);
        }
        let answer = request.send().await?;
        match self.refusal(&answer) {
            None => issued(&answer),
            Some((kind, text)) => Err(answer.error(kind, text)),
        }
    }

    fn refusal(&self, answer: &Answer) -> Option<(ErrorKind, String)> {
        match answer.status() {
            400..=403 if self.client_id.is_some() => Some((
                ErrorKind::Unauthenticated,
                "Azure's metadata service gives no token for the managed identity with the client id in identityId; \
                 check identityId, and assign the identity to the operator's nodes"
                    .into(),
            )),
            400..=403 => Some((
                ErrorKind::Unauthenticated,
                "Azure's metadata service gives no token; assign a managed identity to the operator's nodes, and name \
                 its client id in identityId if there are several"
                    .into(),
            )),
            // For a while after an identity was assigned, and while the service is updated.
            404 | 410 => {
                Some((ErrorKind::Unavailable, "Azure's metadata service does not know the managed identity yet".into()))
            }
            _ => None,
        }
    }
}
