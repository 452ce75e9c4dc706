//! Secrets and their versions.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The location of a regional secret.
    #[serde(default)]
    pub location: Option<String>,
    /// Its name.
    pub name: String,
    /// The id of its project.
    pub project: String,
}

/// A secret with its newest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// Names of versions; kept where none are given.
    #[serde(default)]
    pub aliases: BTreeMap<String, u32>,
    /// Kept where none are given.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Kept where none are given.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// See [`Place::location`].
    #[serde(default)]
    pub location: Option<String>,
    /// See [`Place::name`].
    pub name: String,
    /// See [`Place::project`].
    pub project: String,
    /// The value of the new version, as text. Without a value there is no new version.
    #[serde(default)]
    pub value: Option<String>,
    /// The value of the new version, as bytes in base64; instead of `value`.
    #[serde(default)]
    pub value_base64: Option<String>,
}

/// Whether a version can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// For ever gone.
    Destroyed,
    /// Not now.
    Disabled,
    /// Yes.
    #[default]
    Enabled,
}

/// All secrets.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<Place, Held>);

#[derive(Debug, Default)]
pub(super) struct Held {
    aliases: BTreeMap<String, u32>,
    annotations: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    versions: Vec<Version>,
}

#[derive(Debug)]
pub(super) struct Version {
    created: Timestamp,
    pub(super) number: u32,
    pub(super) state: State,
    pub(super) value: Vec<u8>,
}

impl Secret {
    /// A global secret.
    pub fn new(project: &str, name: &str, value: &[u8]) -> Self {
        Self {
            aliases: BTreeMap::new(),
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
            location: None,
            name: name.to_owned(),
            project: project.to_owned(),
            value: None,
            value_base64: Some(STANDARD.encode(value)),
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let decoded = self.value_base64.as_ref().map(|text| STANDARD.decode(text).unwrap_or_default());
        decoded.or_else(|| self.value.clone().map(String::into_bytes))
    }
}

impl Place {
    /// Of a global secret.
    pub fn new(project: &str, name: &str) -> Self {
        Self { location: None, name: name.to_owned(), project: project.to_owned() }
    }

    /// The path of the secret, with the project's number in place of its id, as all answers have it.
    pub(super) fn path(&self) -> String {
        format!("{}/secrets/{}", parent(&self.project, self.location.as_deref(), true), self.name)
    }
}

/// The path of what secrets are in.
pub(super) fn parent(project: &str, location: Option<&str>, with_number: bool) -> String {
    let project = if with_number { number(project).to_string() } else { project.to_owned() };
    match location {
        None => format!("projects/{project}"),
        Some(location) => format!("projects/{project}/locations/{location}"),
    }
}

/// The number of a project: always the same one for the same id.
pub(super) fn number(project: &str) -> u64 {
    project.bytes().fold(100_000_000_000, |number, byte| (number * 31 + u64::from(byte)) % 1_000_000_000_000)
}

impl Secrets {
    pub(super) fn put(&mut self, secret: Secret) -> u32 {
        let value = secret.bytes();
        let Secret { aliases, annotations, labels, location, name, project, .. } = secret;
        let held = self.0.entry(Place { location, name, project }).or_default();
        held.aliases.extend(aliases);
        if !annotations.is_empty() {
            held.annotations = annotations;
        }
        if !labels.is_empty() {
            held.labels = labels;
        }
        let newest = held.versions.last().map_or(0, |version| version.number);
        let Some(value) = value else { return newest };
        held.versions.push(Version { created: Timestamp::now(), number: newest + 1, state: State::Enabled, value });
        newest + 1
    }

    pub(super) fn remove(&mut self, place: &Place) -> bool {
        self.0.remove(place).is_some()
    }

    pub(super) fn set_state(&mut self, place: &Place, number: u32, state: State) -> bool {
        let versions = self.0.get_mut(place).map(|held| held.versions.as_mut_slice()).unwrap_or_default();
        let version = versions.iter_mut().find(|version| version.number == number);
        version.map(|version| version.state = state).is_some()
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Held> {
        self.0.get(place)
    }

    /// The secrets of a project or of a location in it, by name.
    pub(super) fn of<'a>(
        &'a self,
        project: &'a str,
        location: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Place, &'a Held)> {
        self.0.iter().filter(move |(place, _)| place.project == project && place.location.as_deref() == location)
    }
}

impl Held {
    /// The version that is called so: a number, an alias, or `latest`.
    pub(super) fn version(&self, called: &str) -> Option<&Version> {
        match (called, self.aliases.get(called)) {
            ("latest", _) => self.versions.last(),
            (_, Some(number)) => self.versions.iter().find(|version| version.number == *number),
            (number, None) => self.versions.iter().find(|version| version.number.to_string() == number),
        }
    }

    /// Newest first, as they are listed.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().rev()
    }

    /// The resource, without values.
    pub(super) fn to_json(&self, place: &Place) -> Value {
        let created = self.versions.first().map_or(Timestamp::UNIX_EPOCH, |version| version.created);
        let mut secret = json!({"name": place.path(), "createTime": created.to_string(), "etag": "\"1621e0b5d3f2a8\""});
        let maps = [("annotations", &self.annotations), ("labels", &self.labels)];
        for (member, map) in maps.into_iter().filter(|(_, map)| !map.is_empty()) {
            secret[member] = json!(map);
        }
        if !self.aliases.is_empty() {
            let aliases: BTreeMap<_, _> = self.aliases.iter().map(|(name, to)| (name, to.to_string())).collect();
            secret["versionAliases"] = json!(aliases);
        }
        if place.location.is_none() {
            secret["replication"] = json!({"automatic": {}});
        }
        secret
    }
}

impl Version {
    /// The resource, without its value; enumerations as numbers where the client asks for them.
    pub(super) fn to_json(&self, place: &Place, numbers: bool) -> Value {
        let state = match self.state {
            State::Destroyed => (3, "DESTROYED"),
            State::Disabled => (2, "DISABLED"),
            State::Enabled => (1, "ENABLED"),
        };
        json!({
            "name": format!("{}/versions/{}", place.path(), self.number),
            "createTime": self.created.to_string(),
            "state": if numbers { json!(state.0) } else { json!(state.1) },
            "etag": "\"1621e0b5d3f2a9\"",
        })
    }
}
