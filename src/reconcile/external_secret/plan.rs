//! What to do with the target, given what the backend said. Pure: no client, no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use keyferry_core::SecretBytes;
use keyferry_crds::keys;
use kube::api::ObjectMeta;

use super::{
    ownership::{Refusal, manager_owned, refusal},
    sync::{Creation, ValidSync},
    version,
};
use crate::cluster::Meta;

/// What the backend said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// The content of the target.
    Content(BTreeMap<String, SecretBytes>),
    /// No key at all, but not a positive "there is no such secret" either: the target stays as it is.
    Empty,
    /// Positively nothing, and the deletion policy says that the target goes with it.
    Nothing,
}

/// What is known of the target.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// There is none.
    Absent,
    /// It stands as it was read just now.
    Live(Box<Secret>),
    /// It is as we wrote it: its metadata says that nobody has touched it since.
    Remembered(Written),
}

/// What is remembered of a target that was written or found right. No value, and nothing to guess one from: the
/// marks are keyed with a random key that never leaves this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) meta: Meta,
    content: Mark,
    frame: Mark,
    keys: Arc<[Box<str>]>,
}

/// Two keyed hashes, 128 bits together.
type Mark = (u64, u64);

/// The random key of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marker(RandomState, RandomState);

impl Marker {
    fn mark(&self, value: &impl Hash) -> Mark {
        (self.0.hash_one(value), self.1.hash_one(value))
    }
}

/// The one write that brings the target to where it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Create it.
    Create(Box<Secret>),
    /// Delete exactly this one.
    Delete(Meta),
    /// Leave it as it is.
    Keep(Meta),
    /// There is none, and that is right.
    None,
    /// Set these keys, and remove those that have no value, in exactly this state of it.
    Patch { of: Meta, data: BTreeMap<String, Option<SecretBytes>> },
    /// Replace exactly this state of it.
    Replace(Box<Secret>),
}

/// Decides. An error is a reason not to touch the target at all.
pub(crate) fn plan(want: &ValidSync, target: Target, remote: &Remote, marker: &Marker) -> Result<Step, Refusal> {
    let content = match remote {
        Remote::Content(content) => content,
        Remote::Empty => return Ok(retained(target)),
        Remote::Nothing => return removal(want, target),
    };
    match target {
        Target::Absent => Ok(Step::Create(Box::new(fresh(want, content)))),
        Target::Remembered(written) => Ok(touch_up(want, written, content, marker)),
        Target::Live(live) => {
            if let Some(refusal) = refusal(want, &live) {
                return Err(refusal);
            }
            let merged = merged(want, &live, content);
            if merged == *live {
                return Ok(Step::Keep(Meta::of(&live.metadata)));
            }
            if live.immutable == Some(true) && (merged.data != live.data || merged.type_ != live.type_) {
                return Err(Refusal::Immutable);
            }
            Ok(Step::Replace(Box::new(merged)))
        }
    }
}

/// Whether [`plan`] can decide on what is remembered, without reading the target.
pub(crate) fn vouches(want: &ValidSync, written: &Written, marker: &Marker) -> bool {
    written.frame == frame_mark(want, marker)
}

/// What to remember of the target after [`plan`]'s step was done.
pub(crate) fn written(
    want: &ValidSync,
    content: &BTreeMap<String, SecretBytes>,
    meta: Meta,
    marker: &Marker,
) -> Written {
    Written {
        meta,
        content: content_mark(content, marker),
        frame: frame_mark(want, marker),
        keys: content.keys().map(|key| key.as_str().into()).collect(),
    }
}

fn retained(target: Target) -> Step {
    match target {
        Target::Absent => Step::None,
        Target::Live(live) => Step::Keep(Meta::of(&live.metadata)),
        Target::Remembered(written) => Step::Keep(written.meta),
    }
}

fn removal(want: &ValidSync, target: Target) -> Result<Step, Refusal> {
    match target {
        Target::Absent => Ok(Step::None),
        Target::Remembered(written) => Ok(Step::Delete(written.meta)),
        Target::Live(live) => match refusal(want, &live) {
            Some(refusal) => Err(refusal),
            None => Ok(Step::Delete(Meta::of(&live.metadata))),
        },
    }
}

fn touch_up(want: &ValidSync, written: Written, content: &BTreeMap<String, SecretBytes>, marker: &Marker) -> Step {
    if want.target.immutable || written.content == content_mark(content, marker) {
        return Step::Keep(written.meta);
    }
    let gone = written.keys.iter().filter(|key| !content.contains_key(key.as_ref())).map(|key| (key.to_string(), None));
    let set = content.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    Step::Patch { of: written.meta, data: gone.chain(set).collect() }
}

fn content_mark(content: &BTreeMap<String, SecretBytes>, marker: &Marker) -> Mark {
    let pairs: Vec<_> = content.iter().map(|(key, value)| (key, value.expose())).collect();
    marker.mark(&pairs)
}

/// Everything of the target but its data.
fn frame_mark(want: &ValidSync, marker: &Marker) -> Mark {
    let target = &want.target;
    marker.mark(&(&target.labels, &target.annotations, target.immutable, target.creation == Creation::Owner, &want.uid))
}

fn fresh(want: &ValidSync, content: &BTreeMap<String, SecretBytes>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(want.target.name.to_string()),
            namespace: Some(want.key.namespace.to_string()),
            labels: Some(labels(want)),
            annotations: Some(want.target.annotations.clone()).filter(|annotations| !annotations.is_empty()),
            owner_references: (want.target.creation == Creation::Owner).then(|| vec![owner_reference(want)]),
            ..ObjectMeta::default()
        },
        data: Some(bytes(content)),
        immutable: want.target.immutable.then_some(true),
        ..Secret::default()
    }
}

/// The live target as it should be: ours is set, other writers' labels and annotations stay.
fn merged(want: &ValidSync, live: &Secret, content: &BTreeMap<String, SecretBytes>) -> Secret {
    let mut secret = live.clone();
    let labels = secret.metadata.labels.get_or_insert_default();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    // Once immutable, the content of the first sync is the content for good.
    if !want.target.immutable {
        secret.data = Some(bytes(content)).filter(|data| !data.is_empty() || live.data.is_some());
        set(labels, &manager_owned(live, &want.key.name, "f:labels"), &want.target.labels);
        set(annotations, &manager_owned(live, &want.key.name, "f:annotations"), &want.target.annotations);
    }
    labels.remove(keys::LABEL_CREATED_BY);
    labels.extend(ownership_labels(want));
    own(want, &mut secret.metadata);
    secret.immutable = want.target.immutable.then_some(true).or(live.immutable);
    without_hash(secret, live)
}

/// A hash of the data that can be guessed offline goes with the next write; it alone is no reason to write.
fn without_hash(mut secret: Secret, live: &Secret) -> Secret {
    let remove = |secret: &mut Secret| {
        let hash = secret.metadata.annotations.as_mut().and_then(|all| all.remove(keys::ANNOTATION_DATA_HASH));
        tidy(&mut secret.metadata);
        hash
    };
    let mut bare = live.clone();
    let had = remove(&mut bare);
    remove(&mut secret);
    if had.is_some() && secret == bare { live.clone() } else { secret }
}

/// The API server has no empty maps and lists.
fn tidy(meta: &mut ObjectMeta) {
    for map in [&mut meta.labels, &mut meta.annotations] {
        if map.as_ref().is_some_and(BTreeMap::is_empty) {
            *map = None;
        }
    }
    if meta.owner_references.as_ref().is_some_and(Vec::is_empty) {
        meta.owner_references = None;
    }
}

/// Removes what we set earlier and do not want any more, sets what we want.
fn set(have: &mut BTreeMap<String, String>, ours: &BTreeSet<String>, want: &BTreeMap<String, String>) {
    have.retain(|key, _| !ours.contains(key) || want.contains_key(key) || key == keys::ANNOTATION_DATA_HASH);
    have.extend(want.clone());
}

fn own(want: &ValidSync, meta: &mut ObjectMeta) {
    let references = meta.owner_references.get_or_insert_default();
    let named_like_us = |reference: &OwnerReference| {
        reference.kind == "ExternalSecret"
            && reference.api_version.starts_with(keys::GROUP)
            && reference.name == *want.key.name
    };
    match want.target.creation {
        Creation::Orphan => references.retain(|reference| reference.uid != *want.uid),
        Creation::Owner => {
            let ours = owner_reference(want);
            // An API version that another operator wrote is as good as ours.
            let have = references.iter().any(|have| have.uid == ours.uid && have.controller == Some(true));
            if !have {
                references.retain(|reference| !named_like_us(reference));
                references.push(ours);
            }
        }
    }
}

fn owner_reference(want: &ValidSync) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/v1", keys::GROUP),
        block_owner_deletion: Some(true),
        controller: Some(true),
        kind: "ExternalSecret".to_owned(),
        name: want.key.name.to_string(),
        uid: want.uid.to_string(),
    }
}

fn labels(want: &ValidSync) -> BTreeMap<String, String> {
    let mut labels = want.target.labels.clone();
    labels.extend(ownership_labels(want));
    labels
}

fn ownership_labels(want: &ValidSync) -> impl Iterator<Item = (String, String)> {
    let managed = (keys::LABEL_MANAGED.to_owned(), "true".to_owned());
    let created_by = (want.target.creation == Creation::Owner)
        .then(|| (keys::LABEL_CREATED_BY.to_owned(), version::owner_label(&want.key.namespace, &want.key.name)));
    std::iter::once(managed).chain(created_by)
}

fn bytes(content: &BTreeMap<String, SecretBytes>) -> BTreeMap<String, ByteString> {
    content.iter().map(|(key, value)| (key.clone(), ByteString(value.expose().to_vec()))).collect()
}

#[cfg(test)]
mod tests;
