//! Tokens that Google vouches for: the identity token of the operator's node or pod, or a JWT of a service account
//! that is signed by Google's IAM.

use aws_lc_rs::rsa::KeyPair;
use jiff::Timestamp;
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client, secret};
use serde::Deserialize;
use serde_json::json;

use super::{jwt, kubernetes::unreadable, rsa_key, text::Text};
use crate::{PROVIDER, config::invalid};

const IDENTITY_TOKEN: &str = "GetGcpIdentityToken";
const SIGN_JWT: &str = "SignJwt";
const FIELD: &str = "auth.gcpIamAuthCredentials.serviceAccountKeyFilePath";

/// The one audience of a token that this API takes as a login, wherever the API is reached.
const IAM_AUDIENCE: &str = "https://iamcredentials.googleapis.com/";
/// Seconds that the tokens made here hold: enough for one login with clocks that differ a little.
const LIFETIME: i64 = 600;

#[derive(Debug)]
pub(super) struct Gcp {
    http: Client,
    base: BaseUrl,
    /// Where the service account's key is; without it, the metadata server knows who we are.
    key_file: Option<Text>,
}

/// A service-account key as Google hands it out.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(deserialize_with = "secret")]
    private_key: SecretBytes,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "signedJwt", deserialize_with = "secret")]
    jwt: SecretBytes,
}

impl Gcp {
    pub(super) fn iam(http: Client, base: &str, key_file: &SecretBytes) -> Result<Self> {
        let key_file = Text::parse(key_file, "gcpIamAuthCredentials.serviceAccountKeyFilePath")?;
        Ok(Self { http, base: parse(base)?, key_file: Some(key_file) })
    }

    pub(super) fn metadata(http: Client, base: &str) -> Result<Self> {
        Ok(Self { http, base: parse(base)?, key_file: None })
    }

    /// A token for the machine identity with this id.
    pub(super) async fn token(&self, identity: &str) -> Result<SecretBytes> {
        match &self.key_file {
            Some(path) => self.signed(identity, path, Timestamp::now().as_second()).await,
            None => self.identity_token(identity).await,
        }
    }

    async fn identity_token(&self, audience: &str) -> Result<SecretBytes> {
        let url = self.base.join("computeMetadata/v1/instance/service-accounts/default/identity");
        let url = url.map_err(|error| self.http.invalid(IDENTITY_TOKEN, error))?;
        let answer = self
            .http
            .get(IDENTITY_TOKEN, url)
            .about("the Google service account of this node")
            .header("Metadata-Flavor", "Google")
            .query("audience", audience)
            .query("format", "full")
            .send()
            .await?;
        if let 400..=404 = answer.status() {
            let text = "Google's metadata server gives no identity token for auth.gcpIdTokenAuthCredentials; run the \
                        operator on nodes or with a ServiceAccount that have a Google service account";
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        answer.bytes().map(|token| token.trimmed())
    }

    async fn signed(&self, identity: &str, path: &Text, now: i64) -> Result<SecretBytes> {
        let (email, key_id, key) = read(path).await?;
        let until = now + LIFETIME;
        let login = json!({"iss": email, "sub": email, "aud": IAM_AUDIENCE, "iat": now, "exp": until});
        let login = jwt::sign(&key, &key_id, &login).map_err(|_| wrong("holds a key that cannot sign"))?;
        let url = self.base.join(&format!("v1/projects/-/serviceAccounts/{email}:signJwt"));
        let url = url.map_err(|error| self.http.invalid(SIGN_JWT, error))?;
        // Without an end of its own the token would hold for ever.
        let claims = json!({"sub": email, "aud": identity, "iat": now, "exp": until});
        let answer = self
            .http
            .post(SIGN_JWT, url)
            .about("the Google service account")
            .bearer(&login)
            .json(&json!({"payload": claims.to_string()}))
            .send()
            .await?;
        if let 400..=404 = answer.status() {
            let text = format!(
                "Google does not sign for the service account in the file that {FIELD} names; check that the key is not \
                 revoked, that the IAM Service Account Credentials API is on, and that the account has the role Service \
                 Account Token Creator on itself"
            );
            return Err(answer.error(ErrorKind::Unauthenticated, text));
        }
        let signed: Signed = answer.json()?;
        Ok(signed.jwt)
    }
}

/// Email, key id and key of the service account in this file.
async fn read(path: &Text) -> Result<(String, String, KeyPair)> {
    let file = tokio::fs::read(path.as_str()).await.map(SecretBytes::new).map_err(|error| wrong(unreadable(&error)))?;
    let file: KeyFile = serde_json::from_slice(file.expose())
        .map_err(|_| wrong("is not the JSON key of a Google service account (client_email, private_key)"))?;
    // It becomes part of a path.
    if !file.client_email.contains('@') || file.client_email.contains('/') {
        return Err(wrong("names no service account in client_email"));
    }
    let key =
        rsa_key::parse(&file.private_key, None).map_err(|error| wrong(&format!("has a private_key that {error}")))?;
    Ok((file.client_email, file.private_key_id, key))
}

fn parse(base: &str) -> Result<BaseUrl> {
    BaseUrl::parse(base).map_err(|error| invalid(format!("the address of Google's API {error}")))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, SIGN_JWT, format!("the file that {FIELD} names {what}"))
}
