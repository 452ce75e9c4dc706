//! Managed identities of Azure, and the tokens that Azure gives out.

mod token;

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, Lease, Url};

pub use token::issued;

/// Where the metadata service of every machine in Azure is.
pub const METADATA: &str = "http://169.254.169.254";

const OPERATION: &str = "GetAzureManagedIdentityToken";

/// A managed identity of the operator's node.
#[derive(Debug)]
pub struct ManagedIdentity {
    http: Client,
    url: Url,
    resource: String,
    which: Option<Which>,
    purpose: &'static str,
}

/// One of several managed identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// That with this client id.
    ClientId(String),
    /// That with this object id.
    ObjectId(String),
}

impl ManagedIdentity {
    /// Tokens for `resource` from the service at `metadata`. Without `which`, the node must have only one identity.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] where the service's address cannot be used.
    pub fn new(
        http: Client,
        metadata: &BaseUrl,
        resource: String,
        which: Option<Which>,
        purpose: &'static str,
    ) -> Result<Self> {
        let url = metadata.join("metadata/identity/oauth2/token");
        let url =
            url.map_err(|error| http.invalid(OPERATION, format!("the address of Azure's metadata service {error}")))?;
        Ok(Self { http, url, resource, which, purpose })
    }

    /// A fresh token.
    ///
    /// Fails as [`ManagedIdentity::login`] does.
    pub async fn token(&self) -> Result<SecretBytes> {
        self.login().await.map(|lease| lease.token)
    }

    /// A fresh token, and how long it holds.
    ///
    /// Fails with [`ErrorKind::Unauthenticated`] where there is no such identity, and with [`ErrorKind::Unavailable`]
    /// while the service does not know it yet.
    pub async fn login(&self) -> Result<Lease<SecretBytes>> {
        let request = self
            .http
            .get(OPERATION, self.url.clone())
            .about("the managed identity of the operator's node")
            .header("Metadata", "true")
            .query("api-version", "2018-02-01")
            .query("resource", &self.resource);
        let request = match &self.which {
            None => request,
            Some(Which::ClientId(id)) => request.query("client_id", id),
            Some(Which::ObjectId(id)) => request.query("object_id", id),
        };
        let answer = request.send().await?;
        match answer.status() {
            400..=403 => Err(answer.error(ErrorKind::Unauthenticated, self.refusal())),
            // For a while after a node has started, after an identity was assigned, and while the service is updated.
            404 | 410 => {
                let text = "Azure's metadata service does not know the managed identity of the operator's node yet";
                Err(answer.error(ErrorKind::Unavailable, text))
            }
            _ => issued(&answer),
        }
    }

    fn refusal(&self) -> String {
        let purpose = self.purpose;
        match self.which {
            Some(_) => format!(
                "Azure's metadata service gives no token for the managed identity that was named; check {purpose}, and \
                 assign the identity to the operator's nodes"
            ),
            None => format!(
                "Azure's metadata service gives no token; assign a managed identity to the operator's nodes, and name it \
                 in {purpose} if there are several"
            ),
        }
    }
}
