//! One request.

use keyferry_core::{Error, Result, SecretBytes};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    answer::Answer,
    client::Client,
    lines::{LineLogin, Lines},
    record::Record,
    transport::{self, Failure, Received},
};

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
        let http = self.client.http();
        let (request, under_way) = self.finish()?;
        under_way.ended(transport::exchange(http, request).await)
    }

    /// As [`Request::send`], on a line that nobody else uses meanwhile, and as often as `login` has something to say to
    /// a 401. What the request has in `Authorization` is left out. The observer hears of one call.
    pub async fn send_on(self, lines: &Lines, login: &mut dyn LineLogin) -> Result<Answer> {
        let (request, under_way) = self.finish()?;
        under_way.ended(lines.exchange(&request, login).await)
    }

    fn finish(self) -> Result<(reqwest::Request, UnderWay<'a>)> {
        let Self { client, operation, builder, headers, url, about, wrong } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let about = about.unwrap_or_else(|| url.path().to_owned());
        let request = builder.headers(headers).build();
        let request =
            request.map_err(|_| Failure::Unwritable.into_error(client.provider(), operation, &about, &url))?;
        let record = Record::begin(client.observer(), client.provider(), operation);
        Ok((request, UnderWay { client, operation, url, about, record }))
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

/// A request that waits for its answer.
struct UnderWay<'a> {
    client: &'a Client,
    operation: &'static str,
    url: Url,
    about: String,
    record: Record,
}

impl UnderWay<'_> {
    fn ended(self, outcome: Result<Received, Failure>) -> Result<Answer> {
        let Self { client, operation, url, about, mut record } = self;
        match outcome {
            Ok(received) => Ok(Answer::new(received, record, client.provider(), operation, about)),
            Err(failure) => {
                let error = failure.into_error(client.provider(), operation, &about, &url);
                record.end(Err(error.kind));
                Err(error)
            }
        }
    }
}
