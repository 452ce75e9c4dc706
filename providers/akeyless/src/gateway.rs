//! Where the API is.

use keyferry_core::{Error, Result};
use keyferry_rest::{Answer, BaseUrl, Client, InvalidUrl};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::config::invalid;

/// A gateway at the address that the store names.
///
/// Gateways serve the V2 API at the root of one port and below `/api/v2` or `/v2` of others, and stores name any of
/// them. Where the address itself does not tell, it is asked once, when the API is first needed.
#[derive(Debug)]
pub(crate) struct Gateway {
    http: Client,
    named: BaseUrl,
    settled: OnceCell<BaseUrl>,
}

/// Akeyless's own service, whose API is at the root.
const SERVICE: &str = "https://api.akeyless.io";
/// What the API says to whoever asks it for nothing in particular.
pub(crate) const NO_COMMAND: &str = "unknown command";

impl Gateway {
    pub(crate) fn new(http: Client, address: &str) -> Result<Self> {
        let address = Some(address.trim()).filter(|address| !address.is_empty()).unwrap_or(SERVICE);
        let named = BaseUrl::parse(address).map_err(wrong)?;
        Ok(Self { http, named, settled: OnceCell::new() })
    }

    /// Sends a command and returns the answer, whatever its status.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        command: &str,
        about: &str,
        body: &impl Serialize,
    ) -> Result<Answer> {
        let base = self.settled.get_or_try_init(|| self.settle()).await?;
        let url = base.join(command).map_err(|error| self.http.invalid(operation, error))?;
        self.http.post(operation, url).about(about).json(body).send().await
    }

    async fn settle(&self) -> Result<BaseUrl> {
        let path = self.named.as_url().path();
        if path.ends_with("/v2") || self.named.to_string() == SERVICE || self.is_api(&self.named).await? {
            return Ok(self.named.clone());
        }
        let below = self.named.join("v2").and_then(|url| BaseUrl::parse(url.as_str())).map_err(wrong)?;
        if path == "/" || self.is_api(&below).await? {
            return Ok(below);
        }
        let root = self.named.with_path("v2").map_err(wrong)?;
        Ok(if self.is_api(&root).await? { root } else { below })
    }

    /// Whether the API is at `address`: there, no command is an unknown command.
    async fn is_api(&self, address: &BaseUrl) -> Result<bool> {
        let request = self.http.post("Probe", address.as_url().clone()).about(format!("the gateway at {address}"));
        let answer = request.send().await?;
        if answer.says(NO_COMMAND) {
            return Ok(true);
        }
        // What stands before a gateway says nothing about the gateway.
        if matches!(answer.status(), 429 | 502..=504) { Err(answer.refusal()) } else { Ok(false) }
    }
}

fn wrong(error: InvalidUrl) -> Error {
    invalid(format!("akeylessGWApiURL {error}"))
}
