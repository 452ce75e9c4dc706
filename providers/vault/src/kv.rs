//! Reading and listing secrets.

use std::collections::BTreeMap;

use keyferry_core::{Error, ErrorKind, Fetched, Result, SecretBytes, Version, canonical_object};
use keyferry_rest::Answer;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    client::{Ask, VaultClient, Within, operation, refusal},
    config::KvVersion,
};

/// The envelope of every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Unversioned<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: VersionMetadata,
}

#[derive(Deserialize)]
struct VersionMetadata {
    version: u64,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

impl VersionMetadata {
    /// Only when there is no data: a version that will be deleted later carries a time of deletion, too.
    fn is_deleted(&self) -> bool {
        self.destroyed || !self.deletion_time.is_empty()
    }
}

impl VaultClient {
    /// The value at `path`, as canonical JSON.
    pub(crate) async fn read(
        &self,
        engine: KvVersion,
        path: &str,
        version: Option<&str>,
        token: Option<&SecretBytes>,
    ) -> Result<Fetched> {
        let ask = Ask::read(operation::READ, path, token);
        let answer = self
            .send(ask, |request| match version {
                Some(version) => request.query("version", version),
                None => request,
            })
            .await?;
        match engine {
            KvVersion::V1 => {
                if !answer.is_success() {
                    return Err(refusal(&answer, Within::Secrets));
                }
                let Unversioned { data } = answer.json()?;
                Ok(Fetched::new(canonical(&answer, data)?, None))
            }
            KvVersion::V2 => versioned(&answer, version),
        }
    }

    /// The metadata of all versions at `path`.
    pub(crate) async fn metadata(&self, path: &str, token: Option<&SecretBytes>) -> Result<Metadata> {
        let answer = self.send(Ask::read(operation::READ, path, token), |request| request).await?;
        if !answer.is_success() {
            return Err(refusal(&answer, Within::Secrets));
        }
        answer.json().map(|Envelope { data }| data)
    }

    /// What is in the folder `path`: names, folders with a slash behind.
    pub(crate) async fn list(&self, path: &str, token: Option<&SecretBytes>) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        // A folder is addressed with a slash, or policies for `folder/*` do not apply.
        let folder = format!("{path}/");
        let ask = Ask::read(operation::LIST, &folder, token);
        let answer = self.send(ask, |request| request.query("list", "true")).await?;
        if !answer.is_success() {
            return Err(refusal(&answer, Within::Secrets));
        }
        answer.json().map(|Envelope { data: Keys { keys } }| keys)
    }
}

fn versioned(answer: &Answer, version: Option<&str>) -> Result<Fetched> {
    // A deleted version is a 404 that holds its metadata.
    if answer.status() == 404
        && let Some(Envelope { data }) = answer.hint::<Envelope<Versioned<'_>>>()
        && data.metadata.is_deleted()
    {
        return Err(deleted(answer, &data.metadata));
    }
    if !answer.is_success() {
        let refused = refusal(answer, Within::Secrets);
        return Err(match version {
            Some(version) if refused.kind == ErrorKind::NotFound => {
                answer.error(ErrorKind::NotFound, format!("there is no version {version} of {}", answer.about()))
            }
            _ => refused,
        });
    }
    let Envelope { data: Versioned { data, metadata } } = answer.json()?;
    match data {
        Some(data) => Ok(Fetched::new(canonical(answer, data)?, Version::new(metadata.version.to_string()).ok())),
        None if metadata.is_deleted() => Err(deleted(answer, &metadata)),
        None => Err(answer.error(ErrorKind::Malformed, format!("the answer about {} holds no data", answer.about()))),
    }
}

fn deleted(answer: &Answer, metadata: &VersionMetadata) -> Error {
    let text = format!("version {} of {} has been deleted", metadata.version, answer.about());
    answer.error(ErrorKind::NotFound, text)
}

fn canonical(answer: &Answer, data: &RawValue) -> Result<SecretBytes> {
    canonical_object(data.get().as_bytes())
        .map_err(|error| answer.error(ErrorKind::Malformed, format!("the data of {} {error}", answer.about())))
}

/// What KV version 2 keeps beside the versions of a secret.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default)]
    created_time: Option<String>,
    #[serde(default)]
    current_version: Option<u64>,
    #[serde(default, rename = "custom_metadata")]
    custom: Option<BTreeMap<String, String>>,
    #[serde(default)]
    delete_version_after: Option<String>,
}

impl Metadata {
    /// The tags: what users call custom metadata.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        self.custom.clone().unwrap_or_default()
    }

    /// One JSON object of strings. Custom metadata win over Vault's own members of the same name.
    pub(crate) fn to_json(&self) -> SecretBytes {
        let own = [
            ("created_time", self.created_time.clone()),
            ("current_version", self.current_version.map(|version| version.to_string())),
            ("delete_version_after", self.delete_version_after.clone()),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let all: BTreeMap<String, String> = own.chain(self.tags()).collect();
        // A map of strings always has a JSON form.
        let json = serde_json::to_vec(&all).unwrap_or_default();
        canonical_object(&json).unwrap_or_default()
    }
}
