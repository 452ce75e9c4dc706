//! The metadata server, which tells a machine or pod in Google's cloud who it is.

use keyferry_core::{Error, ErrorKind, Result};
use keyferry_rest::{Answer, Lease};

use super::{
    Google, Service,
    token::{AccessToken, issued},
};

const OPERATION: &str = "GetMetadata";

impl Google {
    /// A token of the service account that machine or pod run as.
    pub async fn metadata_login(&self) -> Result<Lease<AccessToken>> {
        let path = "instance/service-accounts/default/token";
        let about = "the login of the machine's or pod's own service account";
        // One may be attached later, without a change of the store.
        issued(&self.ask(path, about, ErrorKind::Unauthenticated).await?)
    }

    /// The project that machine or pod run in.
    pub async fn project(&self) -> Result<String> {
        self.text("project/project-id", "the project of this machine").await
    }

    /// An attribute of the machine; those of GKE know which cluster they belong to.
    pub async fn attribute(&self, name: &str) -> Result<String> {
        self.text(&format!("instance/attributes/{name}"), &format!("the attribute {name} of this machine")).await
    }

    async fn text(&self, path: &str, about: &str) -> Result<String> {
        let text = self.ask(path, about, ErrorKind::InvalidConfig).await?.bytes()?.trimmed();
        let text = text.expose_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text.ok_or_else(|| {
            let message = format!("the metadata server's answer about {about} is empty");
            Error::new(ErrorKind::Malformed, self.http.provider(), OPERATION, message)
        })
    }

    /// `absent` is what it means when the server does not know the answer.
    async fn ask(&self, path: &str, about: &str, absent: ErrorKind) -> Result<Answer> {
        let url = self.url(OPERATION, Service::Metadata, &format!("computeMetadata/v1/{path}"))?;
        let answer = self.http.get(OPERATION, url).about(about).header("Metadata-Flavor", "Google").send().await?;
        match answer.status() {
            404 => Err(answer.error(absent, format!("the metadata server does not know {about}"))),
            // Something else may answer at this address, for example the page by which a network asks for a login.
            200..=299 if answer.header("metadata-flavor") != Some("Google") => {
                Err(answer.error(ErrorKind::Malformed, format!("what answers about {about} is no metadata server")))
            }
            200..=299 => Ok(answer),
            _ => Err(answer.refusal()),
        }
    }
}
