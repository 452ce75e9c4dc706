//! The identity token of the Google service account of the operator's node or pod.

use keyferry_clouds::google::{Endpoints, Google};
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client};

const AUDIENCE: &str = "akeyless.io";

#[derive(Debug)]
pub(crate) struct Identity {
    google: Google,
    audience: Option<String>,
}

impl Identity {
    pub(super) fn new(http: Client, metadata: Option<BaseUrl>, audience: Option<String>) -> Self {
        Self { google: Google { http, endpoints: Endpoints { metadata, ..Endpoints::default() } }, audience }
    }

    pub(super) async fn token(&self) -> Result<SecretBytes> {
        self.google.identity_token(self.audience.as_deref().unwrap_or(AUDIENCE), "access type gcp").await
    }
}
