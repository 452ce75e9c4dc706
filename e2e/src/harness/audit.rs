//! What clients asked of the API server, from its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A place in an audit log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// The audit log of an API server. An entry may come a moment after the answer that it tells of.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// One request that the API server answered; a watch counts when it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// For example `system:serviceaccount:<namespace>:<name>`. Empty where the credential was refused.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The resource and, after a slash, the subresource; for example `secrets` or `externalsecrets/status`. The path of
    /// the request where it is no resource.
    pub resource: String,
    /// Empty for what lives in no namespace, and for lists and watches of all namespaces.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// When it was answered.
    pub answered: Timestamp,
}

impl AuditLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as of now.
    pub fn mark(&self) -> Result<Mark> {
        mark(&self.path)
    }

    /// The requests that were answered since `mark`.
    pub fn since(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(self.read_from(mark)?.0)
    }

    /// The requests that were answered since `mark`, and where to go on reading.
    pub fn read_from(&self, mark: Mark) -> Result<(Vec<Request>, Mark)> {
        let (events, end): (Vec<Event>, _) = entries_from(&self.path, mark)?;
        Ok((events.into_iter().filter_map(Event::into_request).collect(), end))
    }

    /// How many requests of `user` were answered since `mark`, by verb and resource.
    pub fn counts_since(&self, mark: Mark, user: &str) -> Result<BTreeMap<(String, String), usize>> {
        let mut counts = BTreeMap::new();
        for request in self.since(mark)?.into_iter().filter(|request| request.user == user) {
            *counts.entry((request.verb, request.resource)).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The end of a file of JSON lines.
pub(super) fn mark(path: &Path) -> Result<Mark> {
    let metadata = path.metadata().with_context(|| format!("failed to read {}", path.display()))?;
    Ok(Mark(metadata.len()))
}

/// The entries of a file of JSON lines behind `mark`, without the one that is still being written.
pub(super) fn entries_since<T: DeserializeOwned>(path: &Path, mark: Mark) -> Result<Vec<T>> {
    Ok(entries_from(path, mark)?.0)
}

/// As [`entries_since`], and where the next entry begins. An entry that was half written when the mark was set counts as
/// before it.
fn entries_from<T: DeserializeOwned>(path: &Path, mark: Mark) -> Result<(Vec<T>, Mark)> {
    let reading = || format!("failed to read {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    // The end of a line stands before a mark between two entries.
    let start = mark.0.saturating_sub(1);
    file.seek(SeekFrom::Start(start)).with_context(reading)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).with_context(reading)?;
    let end_of_line = |byte: &u8| *byte == b'\n';
    let first = if mark.0 == 0 { Some(0) } else { content.iter().position(end_of_line).map(|end| end + 1) };
    let (Some(first), Some(last)) = (first, content.iter().rposition(end_of_line)) else {
        return Ok((Vec::new(), mark));
    };
    let entries = content[first..=last]
        .split_inclusive(end_of_line)
        .map(|line| serde_json::from_slice(line).with_context(|| format!("unexpected entry in {}", path.display())))
        .collect::<Result<_>>()?;
    Ok((entries, Mark(start + u64::try_from(last)? + 1)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: Option<ResponseStatus>,
    stage_timestamp: MicroTime,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Event {
    /// `None` for the second of the two entries of a watch, at its end.
    fn into_request(self) -> Option<Request> {
        let counted = if self.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        if self.stage != counted {
            return None;
        }
        let object = self.object_ref.unwrap_or_default();
        let resource = match (object.resource.as_str(), object.subresource.as_str()) {
            ("", _) => self.request_uri,
            (resource, "") => resource.to_owned(),
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        Some(Request {
            user: self.user.username,
            verb: self.verb,
            resource,
            namespace: object.namespace,
            name: object.name,
            code: self.response_status.map_or(0, |status| status.code),
            answered: self.stage_timestamp.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(entry: &str) -> Option<Request> {
        serde_json::from_str::<Event>(entry).unwrap().into_request()
    }

    #[test]
    fn a_subresource_is_told_from_its_resource() {
        let entry = r#"{"stage":"ResponseComplete","verb":"patch","user":{"username":"u"},"requestURI":"/x",
            "objectRef":{"resource":"externalsecrets","subresource":"status","namespace":"n","name":"a"},
            "responseStatus":{"metadata":{},"code":200},"stageTimestamp":"2026-11-01T10:00:00.250000Z"}"#;
        let request = request(entry).unwrap();
        assert_eq!((request.resource.as_str(), request.code), ("externalsecrets/status", 200));
        assert_eq!(request.answered.to_string(), "2026-11-01T10:00:00.25Z");
    }

    #[test]
    fn a_request_may_be_nobodys() {
        let entry = r#"{"stage":"ResponseStarted","verb":"get","user":{},"requestURI":"/x",
            "responseStatus":{"metadata":{},"code":401},"stageTimestamp":"2026-11-01T10:00:00.250000Z"}"#;
        assert_eq!(request(entry), None);
        let request = request(&entry.replace("Started", "Complete")).unwrap();
        assert_eq!((request.user.as_str(), request.code), ("", 401));
    }

    #[test]
    fn a_watch_counts_once() {
        let entry = |stage: &str| {
            format!(
                r#"{{"stage":"{stage}","verb":"watch","user":{{"username":"u"}},"requestURI":"/x",
                    "objectRef":{{"resource":"secrets"}},"stageTimestamp":"2026-11-01T10:00:00.250000Z"}}"#
            )
        };
        assert!(request(&entry("ResponseStarted")).is_some());
        assert_eq!(request(&entry("ResponseComplete")), None);
    }

    /// The entries behind a mark, and where the next one begins.
    fn entries(content: &str, mark: u64) -> (Vec<u32>, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let (entries, end) = entries_from(file.path(), Mark(mark)).unwrap();
        (entries, end.0)
    }

    #[test]
    fn an_entry_that_is_being_written_waits() {
        assert_eq!(entries("10\n20\n3", 3), (vec![20], 6));
        assert_eq!(entries("10\n20\n3", 0), (vec![10, 20], 6));
        assert_eq!(entries("1", 0), (vec![], 0));
    }

    #[test]
    fn an_entry_that_was_half_written_counts_as_before() {
        assert_eq!(entries("10\n20\n30\n", 4), (vec![30], 9));
        assert_eq!(entries("10\n20\n30\n", 5), (vec![30], 9));
        assert_eq!(entries("10\n20", 4), (vec![], 4));
        assert_eq!(entries("10\n20\n", 6), (vec![], 6));
    }
}
