//! What is inside a Secret.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{ErrorKind, Fetched, Result, SecretBytes, canonical_object};
use keyferry_rest::{Answer, Method};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::client::{KubernetesClient, operation, refusal};

/// Asks for what stands beside the data only, so that no value is sent that nobody wants.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_ONLY_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
/// Annotations can be long, an answer of ours cannot; a thousand names are still a handful of calls.
const PAGE: &str = "200";

/// One page of names and labels.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) items: Vec<(String, BTreeMap<String, String>)>,
    pub(crate) next: Option<String>,
}

impl KubernetesClient {
    /// The data of a Secret as one JSON object of strings.
    pub(crate) async fn data(&self, name: &str) -> Result<Fetched> {
        let answer = self.get(name, "application/json").await?;
        let Secret { kind, data } = answer.json()?;
        if kind != "Secret" {
            return Err(another_kind(&answer));
        }
        let mut base64 = BTreeSet::new();
        let mut members = BTreeMap::new();
        for (key, Encoded(encoded)) in data.unwrap_or_default() {
            let Ok(bytes) = STANDARD.decode(encoded.expose()).map(SecretBytes::new) else {
                let text = format!("{}: the value of the key {key:?} is not base64", answer.about());
                return Err(answer.error(ErrorKind::Malformed, text));
            };
            if bytes.expose_str().is_some() {
                members.insert(key, bytes);
            } else {
                base64.insert(key.clone());
                members.insert(key, encoded);
            }
        }
        Ok(Fetched { base64, ..Fetched::new(to_json(&members), None) })
    }

    /// Labels and annotations of a Secret as one JSON object.
    pub(crate) async fn metadata(&self, name: &str) -> Result<Fetched> {
        let answer = self.get(name, METADATA_ONLY).await?;
        let Described { kind, metadata } = answer.json()?;
        if !matches!(kind.as_str(), "PartialObjectMetadata" | "Secret") {
            return Err(another_kind(&answer));
        }
        let Metadata { labels, annotations, .. } = metadata;
        let both =
            BTreeMap::from([("labels", labels.unwrap_or_default()), ("annotations", annotations.unwrap_or_default())]);
        // Maps of strings always have a JSON form.
        let json = serde_json::to_vec(&both).unwrap_or_default();
        Ok(Fetched::new(canonical_object(&json).unwrap_or_default(), None))
    }

    /// The names of Secrets that carry `labels`, from `after` on.
    pub(crate) async fn names(&self, labels: &BTreeMap<String, String>, after: Option<&str>) -> Result<Names> {
        #[derive(Deserialize)]
        struct List {
            metadata: ListMetadata,
            items: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct ListMetadata {
            #[serde(default)]
            r#continue: String,
        }
        #[derive(Deserialize)]
        struct Listed {
            metadata: Metadata,
        }
        let selector = selector(labels).map_err(|text| self.invalid(operation::LIST, text))?;
        let (selector, about) = (selector.as_deref(), self.about_all());
        let answer = self
            .send(operation::LIST, Method::GET, &self.secrets(None), |request| {
                let mut request = request.about(&about).header("Accept", METADATA_ONLY_LIST).query("limit", PAGE);
                for (name, value) in [("labelSelector", selector), ("continue", after)] {
                    if let Some(value) = value {
                        request = request.query(name, value);
                    }
                }
                request
            })
            .await?;
        if !answer.is_success() {
            return Err(refusal(&answer, self.namespace()));
        }
        let List { metadata, items } = answer.json()?;
        let items = items.into_iter().map(|item| (item.metadata.name, item.metadata.labels.unwrap_or_default()));
        Ok(Names { items: items.collect(), next: Some(metadata.r#continue).filter(|place| !place.is_empty()) })
    }

    async fn get(&self, name: &str, accept: &'static str) -> Result<Answer> {
        let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        // A slash would lead to something else than a Secret.
        if name.len() > 253 || !name.bytes().all(is_name_byte) {
            let text = format!(
                "the key {name:?} cannot be a name of a Secret; name the Secret in `key`, and one of its keys in \
                 `property`"
            );
            return Err(self.invalid(operation::GET, text));
        }
        let about = format!("Secret {name} in namespace {}", self.namespace());
        let path = self.secrets(Some(name));
        let answer = self
            .send(operation::GET, Method::GET, &path, |request| request.about(&about).header("Accept", accept))
            .await?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer, self.namespace())) }
    }

    fn about_all(&self) -> String {
        format!("Secrets in namespace {}", self.namespace())
    }
}

#[derive(Deserialize)]
struct Secret {
    kind: String,
    #[serde(default)]
    data: Option<BTreeMap<String, Encoded>>,
}

/// Still in Base64.
#[derive(Deserialize)]
#[serde(transparent)]
struct Encoded(#[serde(deserialize_with = "keyferry_rest::secret")] SecretBytes);

#[derive(Deserialize)]
struct Described {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

fn another_kind(answer: &Answer) -> keyferry_core::Error {
    let text = format!(
        "the answer about {} is no Secret; check that server.url is the address of an API server",
        answer.about()
    );
    answer.error(ErrorKind::Malformed, text)
}

fn to_json(members: &BTreeMap<String, SecretBytes>) -> SecretBytes {
    let texts: BTreeMap<&str, &str> =
        members.iter().map(|(key, value)| (key.as_str(), value.expose_str().unwrap_or_default())).collect();
    // A map of strings always has a JSON form.
    let json = Zeroizing::new(serde_json::to_vec(&texts).unwrap_or_default());
    canonical_object(&json).unwrap_or_default()
}

/// The labels in the API server's own syntax, in which some characters have a meaning that no label can have.
fn selector(labels: &BTreeMap<String, String>) -> Result<Option<String>, String> {
    let is_label_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    for (key, value) in labels {
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        let is_key = !name.is_empty() && [prefix, name].iter().all(|part| part.bytes().all(is_label_byte));
        if !is_key || !value.bytes().all(is_label_byte) {
            return Err(format!(
                "the tag {key:?} in `find.tags`, or its value, cannot be a label of a Secret; correct it"
            ));
        }
    }
    let terms: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(Some(terms.join(",")).filter(|terms| !terms.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::selector;

    fn selecting(key: &str, value: &str) -> Result<Option<String>, String> {
        selector(&BTreeMap::from([("team".to_owned(), "a".to_owned()), (key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn all_labels_must_match() {
        assert_eq!(
            selecting("app.kubernetes.io/name", "web_1"),
            Ok(Some("app.kubernetes.io/name=web_1,team=a".into()))
        );
        assert_eq!(selecting("x", ""), Ok(Some("team=a,x=".into())));
        assert_eq!(selector(&BTreeMap::new()), Ok(None));
    }

    #[test]
    fn no_label_says_more_than_its_value() {
        for (key, value) in [("x", "a,y!=b"), ("x!", "a"), ("", "a"), ("a/", "b"), ("x", "a=b"), ("x in (a)", "")] {
            assert!(selecting(key, value).is_err_and(|text| text.contains("cannot be a label")), "{key} {value}");
        }
    }
}
