//! Tokens that Google vouches for: the identity token of the operator's node or pod, or a JWT of a service account
//! that is signed by Google's IAM.

use jiff::Timestamp;
use keyferry_clouds::{
    file,
    google::{Endpoints, Google, ServiceAccountKey},
};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client};
use serde_json::json;

use super::{kubernetes::unreadable, text::Text};
use crate::{PROVIDER, config::invalid};

const SIGN_JWT: &str = "SignJwt";
const FIELD: &str = "auth.gcpIamAuthCredentials.serviceAccountKeyFilePath";

/// The one audience of a token that this API takes as a login, wherever the API is reached.
const IAM_AUDIENCE: &str = "https://iamcredentials.googleapis.com/";
/// Seconds that the tokens made here hold: enough for one login with clocks that differ a little.
const LIFETIME: i64 = 600;

#[derive(Debug)]
pub(super) struct Gcp {
    google: Google,
    /// Where the service account's key is; without it, the metadata server knows who we are.
    key_file: Option<Text>,
}

impl Gcp {
    pub(super) fn iam(http: Client, base: &str, key_file: &SecretBytes) -> Result<Self> {
        let key_file = Text::parse(key_file, "gcpIamAuthCredentials.serviceAccountKeyFilePath")?;
        let endpoints = Endpoints { iam_credentials: Some(parse(base)?), ..Endpoints::default() };
        Ok(Self { google: Google { http, endpoints }, key_file: Some(key_file) })
    }

    pub(super) fn metadata(http: Client, base: &str) -> Result<Self> {
        let endpoints = Endpoints { metadata: Some(parse(base)?), ..Endpoints::default() };
        Ok(Self { google: Google { http, endpoints }, key_file: None })
    }

    /// A token for the machine identity with this id.
    pub(super) async fn token(&self, identity: &str) -> Result<SecretBytes> {
        match &self.key_file {
            Some(path) => self.signed(identity, path, Timestamp::now().as_second()).await,
            None => self.google.identity_token(identity, "auth.gcpIdTokenAuthCredentials").await,
        }
    }

    async fn signed(&self, identity: &str, path: &Text, now: i64) -> Result<SecretBytes> {
        let key = read(path).await?;
        let (email, until) = (key.email(), now + LIFETIME);
        let login = json!({"iss": email, "sub": email, "aud": IAM_AUDIENCE, "iat": now, "exp": until});
        let login = key.sign(&login).map_err(|problem| unusable(&problem))?;
        // Without an end of its own the token would hold for ever.
        let claims = json!({"sub": email, "aud": identity, "iat": now, "exp": until});
        self.google.sign_jwt(email, &login, &claims, "auth.gcpIamAuthCredentials").await
    }
}

/// The key of the service account in this file.
async fn read(path: &Text) -> Result<ServiceAccountKey> {
    let file = file::read(path.as_str().as_ref()).await.map_err(|why| wrong(unreadable(why)))?;
    ServiceAccountKey::parse(file.expose()).map_err(|problem| unusable(&problem))
}

fn parse(base: &str) -> Result<BaseUrl> {
    BaseUrl::parse(base).map_err(|error| invalid(format!("the address of Google's API {error}")))
}

fn unusable(problem: &str) -> Error {
    wrong(&format!("is not the JSON key of a Google service account: {problem}"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, PROVIDER, SIGN_JWT, format!("the file that {FIELD} names {what}"))
}
