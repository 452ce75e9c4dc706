//! Tokens of identities from elsewhere, before Google accepts them.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyferry_clouds::file::{self, Unreadable};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes, TokenSource};
use keyferry_rest::Url;
use serde_json::Value;

use super::{aws::AwsSource, cred_config::OPERATORS_TOKENS};
use crate::{
    PROVIDER,
    services::{Services, invalid},
};

/// OAuth's name for those from AWS.
pub(super) const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// Where a token comes from.
pub(super) enum Source {
    Aws(AwsSource),
    File { allows_own_token: bool, format: Format, path: PathBuf },
    ServiceAccount { audiences: Vec<String>, tokens: Arc<dyn TokenSource> },
    Url { format: Format, headers: BTreeMap<String, String>, url: Url },
}

/// How a file or an answer holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json { field: String },
    Text,
}

const OPERATION: &str = "GetSubjectToken";

/// The API server's own default, which providers of tokens are prepared for.
const SERVICE_ACCOUNT_TOKEN_LIFE: Duration = Duration::from_hours(1);

impl Source {
    /// A fresh token, to be shown to `audience`.
    pub(super) async fn token(&self, services: &Services, audience: &str) -> Result<SecretBytes> {
        match self {
            Self::Aws(source) => source.token(services, audience).await,
            Self::File { allows_own_token, format, path } => {
                let bytes = read(path, *allows_own_token)
                    .await
                    .map_err(|text| invalid(OPERATION, format!("credential_source.file {}: {text}", path.display())))?;
                format.extract(&bytes, "the file of credential_source.file")
            }
            Self::ServiceAccount { audiences, tokens } => {
                services.google.service_account_token(&**tokens, audiences, SERVICE_ACCOUNT_TOKEN_LIFE).await
            }
            Self::Url { format, headers, url } => {
                let request =
                    services.google.http.get(OPERATION, url.clone()).about("the token of credential_source.url");
                let request = headers.iter().fold(request, |request, (name, value)| {
                    request.secret_header(name, &SecretBytes::from(value.as_str()))
                });
                format.extract(&request.send().await?.bytes()?, "the answer of credential_source.url")
            }
        }
    }

    /// What a user calls it.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Aws(_) => "AWS identity",
            Self::File { .. } => "token in credential_source.file",
            Self::ServiceAccount { .. } => "token of the ServiceAccount",
            Self::Url { .. } => "token from credential_source.url",
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.described())
    }
}

impl Format {
    fn extract(&self, bytes: &SecretBytes, what: &str) -> Result<SecretBytes> {
        let malformed = |text: String| Error::new(ErrorKind::Malformed, PROVIDER, OPERATION, text);
        let token = match self {
            Self::Text => bytes.trimmed(),
            Self::Json { field } => {
                let json: BTreeMap<String, Value> = serde_json::from_slice(bytes.expose())
                    .map_err(|_| malformed(format!("{what} is no JSON object")))?;
                let token = json.get(field).and_then(Value::as_str).map(SecretBytes::from);
                token.ok_or_else(|| malformed(format!("{what} has no text under {field:?}")))?
            }
        };
        match token.expose_str() {
            None | Some("") => Err(malformed(format!("{what} holds no token"))),
            Some(_) => Ok(token),
        }
    }
}

/// What is in the file at `path`, however it came there.
async fn read(path: &Path, allows_own_token: bool) -> Result<SecretBytes, &'static str> {
    const UNREADABLE: &str = "cannot be read; is it mounted into the operator?";
    let real = tokio::fs::canonicalize(path).await.map_err(|_| UNREADABLE)?;
    let own = tokio::fs::canonicalize(OPERATORS_TOKENS).await;
    if !allows_own_token && own.is_ok_and(|own| real.starts_with(own)) {
        return Err("leads to the operator's own token; name a ServiceAccount in serviceAccountRef instead");
    }
    file::read(&real).await.map_err(|why| match why {
        Unreadable::Absent | Unreadable::Denied | Unreadable::Failed => UNREADABLE,
        Unreadable::Irregular => "is no regular file",
        Unreadable::TooLong => "is larger than any token",
    })
}

#[cfg(test)]
mod tests {
    use keyferry_core::{ErrorKind, SecretBytes};

    use super::{Format, read};

    fn extract(format: &Format, text: &str) -> keyferry_core::Result<SecretBytes> {
        format.extract(&SecretBytes::from(text), "the answer")
    }

    #[test]
    fn a_token_is_a_text_or_a_member_of_an_object() {
        assert_eq!(extract(&Format::Text, "a.b.c\n").unwrap(), SecretBytes::from("a.b.c"));
        let json = Format::Json { field: "id_token".into() };
        assert_eq!(extract(&json, r#"{"id_token": "a.b.c"}"#).unwrap(), SecretBytes::from("a.b.c"));
    }

    #[test]
    fn what_holds_no_token_is_malformed_and_not_shown() {
        let json = Format::Json { field: "id_token".into() };
        for (format, text, expected) in [
            (&Format::Text, " \n", "the answer holds no token"),
            (&json, "hunter2", "the answer is no JSON object"),
            (&json, r#"{"token": "hunter2"}"#, "the answer has no text under \"id_token\""),
            (&json, r#"{"id_token": ""}"#, "the answer holds no token"),
        ] {
            let error = extract(format, text).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Malformed, expected));
        }
    }

    #[tokio::test]
    async fn only_regular_files_are_read() {
        assert_eq!(read("/dev/zero".as_ref(), false).await, Err("is no regular file"));
        assert!(read("/no/such/file".as_ref(), false).await.unwrap_err().starts_with("cannot be read"));
    }
}
