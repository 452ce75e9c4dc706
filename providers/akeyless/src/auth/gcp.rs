//! The identity token of the Google service account of the operator's node or pod.

use keyferry_core::{ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client};

use crate::config::invalid;

const OPERATION: &str = "GetGcpIdentityToken";
const METADATA: &str = "http://metadata.google.internal";
const AUDIENCE: &str = "akeyless.io";

#[derive(Debug)]
pub(crate) struct Identity {
    pub(super) http: Client,
    pub(super) metadata: Option<BaseUrl>,
    pub(super) audience: Option<String>,
}

impl Identity {
    pub(super) async fn token(&self) -> Result<SecretBytes> {
        let base = self.metadata.clone().map_or_else(|| BaseUrl::parse(METADATA), Ok);
        let url = base.and_then(|base| base.join("computeMetadata/v1/instance/service-accounts/default/identity"));
        let answer = self
            .http
            .get(OPERATION, url.map_err(|error| invalid(format!("the address of Google's metadata server {error}")))?)
            .about("the Google service account of the operator")
            .header("Metadata-Flavor", "Google")
            .query("audience", self.audience.as_deref().unwrap_or(AUDIENCE))
            .query("format", "full")
            .send()
            .await?;
        if let 400..=404 = answer.status() {
            let text = "Google's metadata server gives no identity token for access type gcp; run the operator on nodes \
                        or with a ServiceAccount that have a Google service account";
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let token = answer.bytes()?.trimmed();
        // Whatever else answers at that address is not to be sent on.
        let is_jwt = token.expose().split(|byte| *byte == b'.').count() == 3;
        if is_jwt {
            Ok(token)
        } else {
            Err(invalid("what answers as Google's metadata server gives no identity tokens"))
        }
    }
}
