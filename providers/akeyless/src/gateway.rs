//! Where the API is.

use keyferry_core::{Error, ErrorKind, Result};
use keyferry_rest::{Answer, BaseUrl, Client, InvalidUrl};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{
    config::invalid,
    refusal::{NO_COMMAND, is_refusal, knows_no_command},
};

/// A gateway at the address that the store names.
///
/// Gateways serve the V2 API at the root of one port and below `/api/v2` or `/v2` of others, and stores name any of
/// them. Where the address itself does not tell, it is asked when the API is first needed, and again when nobody there
/// knows the API any more: what answers while a gateway is set up anew may have led astray.
#[derive(Debug)]
pub(crate) struct Gateway {
    http: Client,
    named: BaseUrl,
    /// Held while the API is looked for, so that all who need it share the search.
    found: Mutex<Option<BaseUrl>>,
}

/// Akeyless's own service, whose API is at the root.
const SERVICE: &str = "https://api.akeyless.io";

impl Gateway {
    pub(crate) fn new(http: Client, address: &str) -> Result<Self> {
        let address = Some(address.trim()).filter(|address| !address.is_empty()).unwrap_or(SERVICE);
        let named = BaseUrl::parse(address).map_err(wrong)?;
        Ok(Self { http, named, found: Mutex::default() })
    }

    /// Sends a command and returns the answer of the gateway, whatever its status. That somebody else answers is an
    /// error.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        command: &str,
        about: &str,
        body: &impl Serialize,
    ) -> Result<Answer> {
        let base = self.base().await?;
        let answer = self.send(&base, operation, command, about, body).await?;
        let elsewhere = matches!(answer.status(), 404 | 405 | 410) && !is_refusal(&answer);
        if elsewhere || knows_no_command(&answer) {
            self.lose(&base).await;
            let text = format!("no Akeyless API there knows {about}; check akeylessGWApiURL");
            return Err(answer.error(ErrorKind::InvalidConfig, text));
        }
        Ok(answer)
    }

    /// As [`Gateway::post`], for a command that not every gateway has; `None` from one that has not.
    pub(crate) async fn post_if_known(
        &self,
        operation: &'static str,
        command: &str,
        about: &str,
        body: &impl Serialize,
    ) -> Result<Option<Answer>> {
        let answer = self.send(&self.base().await?, operation, command, about, body).await?;
        Ok(Some(answer).filter(|answer| !knows_no_command(answer)))
    }

    async fn send(
        &self,
        base: &BaseUrl,
        operation: &'static str,
        command: &str,
        about: &str,
        body: &impl Serialize,
    ) -> Result<Answer> {
        let url = base.join(command).map_err(|error| self.http.invalid(operation, error))?;
        self.http.post(operation, url).about(about).json(body).send().await
    }

    async fn base(&self) -> Result<BaseUrl> {
        let mut found = self.found.lock().await;
        if let Some(base) = &*found {
            return Ok(base.clone());
        }
        let base = self.look().await?;
        *found = Some(base.clone());
        Ok(base)
    }

    /// The API is not at `base`.
    async fn lose(&self, base: &BaseUrl) {
        let mut found = self.found.lock().await;
        *found = found.take().filter(|other| other != base);
    }

    async fn look(&self) -> Result<BaseUrl> {
        let named = &self.named;
        if named.as_url().path().ends_with("/v2") || named.to_string() == SERVICE || self.is_api(named).await? {
            return Ok(named.clone());
        }
        let below = |path: &str| named.join(path).and_then(|url| BaseUrl::parse(url.as_str())).map_err(wrong);
        let guess = below("v2")?;
        // At last as other operators have it, for addresses that lead to another port of the gateway.
        let root = Some(named.with_path("v2").map_err(wrong)?).filter(|root| *root != guess);
        for candidate in [guess.clone(), below("api/v2")?].into_iter().chain(root) {
            if self.is_api(&candidate).await? {
                return Ok(candidate);
            }
        }
        Ok(guess)
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
