//! What `gcloud auth application-default login` leaves behind: a person's refresh token.

use keyferry_clouds::google::{AccessToken, Service, issued, refused};
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::Lease;
use serde::Deserialize;

use crate::services::Services;

/// A person.
#[derive(Debug, Deserialize)]
pub(super) struct AuthorizedUser {
    client_id: String,
    #[serde(deserialize_with = "keyferry_rest::secret")]
    client_secret: SecretBytes,
    quota_project_id: Option<String>,
    #[serde(deserialize_with = "keyferry_rest::secret")]
    refresh_token: SecretBytes,
}

const OPERATION: &str = "RequestToken";

impl AuthorizedUser {
    pub(super) async fn login(&self, services: &Services) -> Result<Lease<AccessToken>> {
        let form = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_str().unwrap_or_default()),
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh_token.expose_str().unwrap_or_default()),
        ];
        let answer = services
            .google
            .http
            .post(OPERATION, services.google.url(OPERATION, Service::OAuth2, "token")?)
            .about("the login of a person")
            .form(&form)
            .send()
            .await?;
        if !answer.is_success() {
            let text = "Google does not accept the refresh token any more; run gcloud auth application-default login";
            return Err(refused(&answer, |_| text.to_owned()));
        }
        let mut lease = issued(&answer)?;
        lease.token.quota_project.clone_from(&self.quota_project_id);
        Ok(lease)
    }
}
