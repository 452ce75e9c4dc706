//! One request.

use keyferry_core::{Error, Result, SecretBytes};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use crate::{answer::Answer, client::Client, record::Record, transport};

/// A request that is being written. What cannot be sent is reported by [`Request::send`].
#[must_use = "a request does nothing until it is sent"]
#[derive(Debug)]
pub struct Request<'a> {
    client: &'a Client,
    operation: &'static str,
    builder: RequestBuilder,
    headers: HeaderMap,
    url: Url,
    about: Option<String>,
    wrong: Option<Error>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, operation: &'static str, builder: RequestBuilder, url: Url) -> Self {
        Self { client, operation, builder, headers: HeaderMap::new(), url, about: None, wrong: None }
    }

    /// What the request is about, for errors: `the secret kv/data/a`, `the login of role web`. Otherwise it is the
    /// path of the URL.
    pub fn about(self, what: impl Into<String>) -> Self {
        Self { about: Some(what.into()), ..self }
    }

    /// Sets a header whose value is no secret.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.put_header(name, value.as_bytes(), false)
    }

    /// Sets a header whose value is a secret.
    pub fn secret_header(self, name: &str, value: &SecretBytes) -> Self {
        self.put_header(name, value.expose(), true)
    }

    /// Sets `Authorization: Bearer …`.
    pub fn bearer(self, token: &SecretBytes) -> Self {
        let value = Zeroizing::new([b"Bearer ".as_slice(), token.expose()].concat());
        self.put_header(AUTHORIZATION.as_str(), &value, true)
    }

    /// Adds a parameter to the URL's query.
    pub fn query(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.query(&[(name, value)]), ..self }
    }

    /// Sends `body` as JSON.
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        Self { builder: self.builder.json(body), ..self }
    }

    /// Sends `fields` as an HTML form, as OAuth token endpoints want it.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        Self { builder: self.builder.form(fields), ..self }
    }

    /// Sends `body` as it is.
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = self.header("Content-Type", content_type);
        Self { builder: request.builder.body(body.into()), ..request }
    }

    /// Sends the request and reads the whole answer, whatever its status.
    ///
    /// Fails only when there is no whole answer: the server cannot be reached, hangs up, or sends too much. If the
    /// returned future is dropped, the request is abandoned, and the observer hears of a time-out.
    pub async fn send(self) -> Result<Answer> {
        let Self { client, operation, builder, headers, url, about, wrong } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let about = about.unwrap_or_else(|| url.path().to_owned());
        let request = builder.headers(headers).build();
        let request =
            request.map_err(|_| client.invalid(operation, format!("the request for {about} cannot be written")))?;
        let mut record = Record::begin(client.observer(), client.provider(), operation);
        match transport::exchange(client.http(), request).await {
            Ok(received) => Ok(Answer::new(received, record, client.provider(), operation, about)),
            Err(failure) => {
                let error = failure.into_error(client.provider(), operation, &about, &url);
                record.end(Err(error.kind));
                Err(error)
            }
        }
    }

    fn put_header(mut self, name: &str, value: &[u8], secret: bool) -> Self {
        match (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(secret);
                self.headers.insert(name, value);
            }
            (Err(_), _) => {
                self.wrong =
                    Some(self.client.invalid(self.operation, format!("{name:?} is not a name of an HTTP header")));
            }
            (_, Err(_)) => {
                let text = format!("the value for the header {name} holds characters that a header cannot carry");
                self.wrong = Some(self.client.invalid(self.operation, text));
            }
        }
        self
    }
}
