//! Application default credentials: who the operator is when a store does not say.
//!
//! They are looked for in the order of all of Google's clients: the file that `GOOGLE_APPLICATION_CREDENTIALS` names,
//! the one that gcloud leaves behind, the metadata server. Files are read anew for each login, because they change.

use std::path::Path;

use keyferry_clouds::{
    file::{self, Unreadable},
    google::{AccessToken, Impersonation, ServiceAccountKey},
};
use keyferry_core::{Error, Result};
use keyferry_rest::Lease;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Kind,
    authorized_user::AuthorizedUser,
    cred_config::{self, Trust},
    external_account::ExternalAccount,
};
use crate::services::{Services, invalid};

/// Logs in as whoever the operator is.
pub(super) async fn login(services: &Services) -> Result<Lease<AccessToken>> {
    let environment = &services.environment;
    let (json, path) = match (&environment.credentials_file, &environment.gcloud_file) {
        (Some(path), _) => (file::read(path).await.map_err(|why| unreadable(path, why))?, path),
        (None, Some(path)) => match file::read(path).await {
            Ok(json) => (json, path),
            Err(Unreadable::Absent) => return of_machine(services).await,
            Err(why) => return Err(unreadable(path, why)),
        },
        (None, None) => return of_machine(services).await,
    };
    let credentials = Credentials::parse(json.expose());
    let credentials = credentials.map_err(|text| invalid("Configure", format!("{}: {text}", path.display())))?;
    let Credentials { impersonation, origin } = credentials;
    let lease = match origin {
        Origin::ExternalAccount(account) => account.login(services).await,
        Origin::ServiceAccount(key) => key.login(&services.google).await,
        Origin::User(user) => user.login(services).await,
    }?;
    match impersonation {
        None => Ok(lease),
        Some(impersonation) => impersonation.login(&services.google, &lease.token.bearer).await,
    }
}

/// Clusters elsewhere have no metadata server, and no identity for stores that name none.
async fn of_machine(services: &Services) -> Result<Lease<AccessToken>> {
    services.google.metadata_login().await.map_err(|error| {
        let message =
            format!("{}; where the operator has no identity in Google Cloud, name a login in auth", error.message);
        Error { message, ..error }
    })
}

fn unreadable(path: &Path, why: Unreadable) -> Error {
    let why = match why {
        Unreadable::Absent => "do not exist; mount the file into the operator's pod",
        Unreadable::Denied | Unreadable::Failed => "cannot be read by the operator; check the file's volume",
        Unreadable::Irregular | Unreadable::TooLong => "are no file of credentials; correct the operator's Deployment",
    };
    invalid("Configure", format!("the credentials in {} {why}", path.display()))
}

/// A file of credentials, checked.
#[derive(Debug)]
struct Credentials {
    impersonation: Option<Impersonation>,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    ExternalAccount(Box<ExternalAccount>),
    ServiceAccount(ServiceAccountKey),
    User(AuthorizedUser),
}

#[derive(Deserialize)]
struct Impersonated {
    #[serde(default)]
    delegates: Vec<String>,
    service_account_impersonation_url: String,
    source_credentials: Box<RawValue>,
}

impl Credentials {
    fn parse(json: &[u8]) -> Result<Self, String> {
        let kind = Kind::of(json).ok_or("it is not a JSON file of credentials")?;
        if kind != "impersonated_service_account" {
            return Ok(Self { impersonation: None, origin: Origin::parse(&kind, json)? });
        }
        let Impersonated { delegates, service_account_impersonation_url, source_credentials } =
            serde_json::from_slice(json)
                .map_err(|_| "it lacks \"service_account_impersonation_url\" or \"source_credentials\"")?;
        let source = source_credentials.get().as_bytes();
        let kind = Kind::of(source).ok_or("\"source_credentials\" have no \"type\"")?;
        let impersonation = Impersonation::from_url(&service_account_impersonation_url)?.through(delegates);
        Ok(Self { impersonation: Some(impersonation), origin: Origin::parse(&kind, source)? })
    }
}

impl Origin {
    fn parse(kind: &str, json: &[u8]) -> Result<Self, String> {
        match kind {
            "authorized_user" => serde_json::from_slice(json)
                .map(Self::User)
                .map_err(|_| "it lacks \"client_id\", \"client_secret\" or \"refresh_token\"".into()),
            "external_account" => {
                let account = ExternalAccount::of_config(cred_config::parse(json, &Trust::Operator)?);
                Ok(Self::ExternalAccount(Box::new(account)))
            }
            "service_account" => ServiceAccountKey::parse(json).map(Self::ServiceAccount),
            _ => Err("it is of a \"type\" that is not supported; supported are authorized_user, external_account, \
                      impersonated_service_account and service_account"
                .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Credentials, Origin};
    use crate::auth::fixtures::key_file;

    fn parse(json: &Value) -> Result<Credentials, String> {
        Credentials::parse(json.to_string().as_bytes())
    }

    fn user() -> Value {
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "hunter2", "refresh_token": "hunter2"})
    }

    fn impersonated(source: &Value) -> Value {
        json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url":
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken",
            "delegates": [],
            "source_credentials": source,
        })
    }

    #[test]
    fn all_kinds_of_files_are_read() {
        assert!(matches!(parse(&user()).unwrap().origin, Origin::User(_)));
        assert!(matches!(parse(&key_file()).unwrap().origin, Origin::ServiceAccount(_)));
        let external = json!({"type": "external_account", "credential_source": {"file": "/a"}});
        assert!(matches!(parse(&external).unwrap().origin, Origin::ExternalAccount(_)));
        let both = parse(&impersonated(&user())).unwrap();
        assert!(both.impersonation.is_some() && matches!(both.origin, Origin::User(_)));
        assert!(!format!("{both:?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let mut half = user();
        half["refresh_token"] = Value::Null;
        for (error, expected) in [
            (Credentials::parse(b"hunter2").unwrap_err(), "it is not a JSON file of credentials"),
            (parse(&half).unwrap_err(), "it lacks \"client_id\""),
            (parse(&json!({"type": "hunter2"})).unwrap_err(), "it is of a \"type\" that is not supported"),
            (parse(&json!({"type": "impersonated_service_account"})).unwrap_err(), "it lacks \"service_account_imp"),
            (parse(&impersonated(&json!({}))).unwrap_err(), "\"source_credentials\" have no \"type\""),
            (parse(&impersonated(&impersonated(&user()))).unwrap_err(), "it is of a \"type\" that is not supported"),
        ] {
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
