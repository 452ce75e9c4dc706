use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, OwnerReference},
};
use keyferry_core::SecretBytes;
use keyferry_crds::keys;
use proptest::prelude::*;

use super::{super::fixtures, Marker, Refusal, Remote, Step, Target, plan, written};
use crate::{
    cluster::Meta,
    reconcile::external_secret::sync::{Creation, ValidSync},
};

fn content(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretBytes> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), SecretBytes::from(*value))).collect()
}

fn remote(pairs: &[(&str, &str)]) -> Remote {
    Remote::Content(content(pairs))
}

fn decide(want: &ValidSync, target: Target, remote: &Remote) -> Result<Step, Refusal> {
    plan(want, target, remote, &Marker::default())
}

/// What the API server holds after the target was created.
fn created(want: &ValidSync, pairs: &[(&str, &str)]) -> Secret {
    let Ok(Step::Create(mut secret)) = decide(want, Target::Absent, &remote(pairs)) else { panic!("must create") };
    secret.metadata.uid = Some("secret-uid".into());
    secret.metadata.resource_version = Some("7".into());
    *secret
}

fn live(secret: Secret) -> Target {
    Target::Live(Box::new(secret))
}

fn data(secret: &Secret) -> Vec<(String, String)> {
    let text = |bytes: &ByteString| String::from_utf8(bytes.0.clone()).unwrap();
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

#[test]
fn an_absent_target_is_created_with_owner_and_labels() {
    let secret = created(&fixtures::sync(), &[("password", "x")]);
    assert_eq!(data(&secret), [("password".into(), "x".into())]);
    let labels = secret.metadata.labels.clone().unwrap();
    assert_eq!(labels[keys::LABEL_MANAGED], "true");
    assert_eq!(labels[keys::LABEL_CREATED_BY].len(), 56);
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.name.as_str(), owner.controller), ("db", Some(true)));
}

#[test]
fn an_orphan_has_no_owner() {
    let mut want = fixtures::sync();
    want.target.creation = Creation::Orphan;
    let secret = created(&want, &[("password", "x")]);
    assert_eq!(secret.metadata.owner_references, None);
    assert!(!secret.metadata.labels.unwrap().contains_key(keys::LABEL_CREATED_BY));
}

#[test]
fn labels_and_annotations_of_the_external_secret_are_copied() {
    let mut want = fixtures::sync();
    want.target.labels.insert("team".into(), "a".into());
    want.target.annotations.insert("note".into(), "b".into());
    let secret = created(&want, &[]);
    assert_eq!(secret.metadata.labels.unwrap()["team"], "a");
    assert_eq!(secret.metadata.annotations.unwrap()["note"], "b");
}

#[test]
fn planning_again_on_the_written_target_changes_nothing() {
    let want = fixtures::sync();
    let secret = created(&want, &[("password", "x")]);
    let meta = Meta::of(&secret.metadata);
    assert_eq!(decide(&want, live(secret), &remote(&[("password", "x")])), Ok(Step::Keep(meta)));
}

#[test]
fn a_remembered_target_is_patched_key_by_key() {
    let (want, marker) = (fixtures::sync(), Marker::default());
    let meta = Meta { uid: "u".into(), resource_version: "7".into() };
    let memory = written(&want, &content(&[("a", "1"), ("b", "2")]), meta.clone(), &marker);
    let step = |pairs| plan(&want, Target::Remembered(memory.clone()), &remote(pairs), &marker).unwrap();
    assert_eq!(step(&[("a", "1"), ("b", "2")]), Step::Keep(meta.clone()));
    let data = [("a".to_owned(), Some(SecretBytes::from("9"))), ("b".to_owned(), None)].into();
    assert_eq!(step(&[("a", "9")]), Step::Patch { of: meta, data });
}

#[test]
fn what_others_wrote_into_the_data_goes_and_their_labels_stay() {
    let want = fixtures::sync();
    let mut secret = created(&want, &[("password", "x")]);
    secret.data.get_or_insert_default().insert("intruder".into(), ByteString(b"y".to_vec()));
    secret.metadata.labels.get_or_insert_default().insert("theirs".into(), "1".into());
    let Ok(Step::Replace(secret)) = decide(&want, live(secret), &remote(&[("password", "x")])) else { panic!() };
    assert_eq!(data(&secret), [("password".into(), "x".into())]);
    assert_eq!(secret.metadata.labels.unwrap()["theirs"], "1");
}

#[test]
fn a_label_that_the_manifest_dropped_goes() {
    let mut want = fixtures::sync();
    want.target.labels.insert("team".into(), "a".into());
    let mut secret = created(&want, &[]);
    secret.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some("externalsecrets.external-secrets.io/db".into()),
        fields_v1: Some(FieldsV1(serde_json::json!({"f:metadata": {"f:labels": {"f:team": {}}}}))),
        ..ManagedFieldsEntry::default()
    }]);
    want.target.labels.clear();
    let Ok(Step::Replace(secret)) = decide(&want, live(secret), &remote(&[])) else { panic!("must replace") };
    assert!(!secret.metadata.labels.unwrap().contains_key("team"));
}

#[test]
fn a_target_from_another_operator_is_adopted_without_a_write() {
    let want = fixtures::sync();
    let mut secret = created(&want, &[("password", "x")]);
    secret.metadata.owner_references.as_mut().unwrap()[0].api_version = "external-secrets.io/v1beta1".into();
    let hash = (keys::ANNOTATION_DATA_HASH.to_owned(), "0123".to_owned());
    secret.metadata.annotations.get_or_insert_default().extend([hash]);
    let same = decide(&want, live(secret.clone()), &remote(&[("password", "x")]));
    assert!(matches!(same, Ok(Step::Keep(_))), "{same:?}");
    let Ok(Step::Replace(secret)) = decide(&want, live(secret), &remote(&[("password", "y")])) else { panic!() };
    assert_eq!(secret.metadata.annotations, None, "the hash goes with the next write");
}

fn owned_by(secret: &mut Secret, kind: &str, api_version: &str, name: &str) {
    let owner = OwnerReference {
        api_version: api_version.into(),
        controller: Some(true),
        kind: kind.into(),
        name: name.into(),
        uid: "other".into(),
        ..OwnerReference::default()
    };
    secret.metadata.owner_references = Some(vec![owner]);
}

#[test]
fn a_target_of_another_external_secret_is_refused() {
    let want = fixtures::sync();
    let mut secret = created(&want, &[]);
    owned_by(&mut secret, "ExternalSecret", "external-secrets.io/v1beta1", "rival");
    assert_eq!(decide(&want, live(secret), &remote(&[])), Err(Refusal::Rival("rival".into())));
}

#[test]
fn a_target_of_another_controller_is_refused() {
    let want = fixtures::sync();
    let mut secret = created(&want, &[]);
    owned_by(&mut secret, "SealedSecret", "bitnami.com/v1alpha1", "db");
    let refused = Err(Refusal::Controlled { kind: "SealedSecret".into(), name: "db".into() });
    assert_eq!(decide(&want, live(secret), &remote(&[])), refused);
}

#[test]
fn a_foreign_secret_is_refused_until_it_is_handed_over() {
    let want = fixtures::sync();
    let mut secret = Secret { metadata: created(&want, &[]).metadata, ..Secret::default() };
    (secret.metadata.labels, secret.metadata.owner_references) = (None, None);
    assert_eq!(decide(&want, live(secret.clone()), &remote(&[])), Err(Refusal::Foreign));
    assert_eq!(decide(&want, live(secret.clone()), &Remote::Nothing), Err(Refusal::Foreign));
    secret.metadata.labels = Some([(keys::LABEL_MANAGED.to_owned(), "true".to_owned())].into());
    assert!(matches!(decide(&want, live(secret), &remote(&[("a", "b")])), Ok(Step::Replace(_))));
}

#[test]
fn a_service_account_token_is_never_written() {
    let want = fixtures::sync();
    let mut secret = created(&want, &[]);
    secret.type_ = Some("kubernetes.io/service-account-token".into());
    assert!(matches!(decide(&want, live(secret), &remote(&[("a", "b")])), Err(Refusal::Privileged(_))));
}

#[test]
fn an_immutable_target_is_not_changed() {
    let mut want = fixtures::sync();
    let mut secret = created(&want, &[("password", "x")]);
    secret.immutable = Some(true);
    assert_eq!(decide(&want, live(secret.clone()), &remote(&[("password", "y")])), Err(Refusal::Immutable));
    want.target.immutable = true;
    assert!(matches!(decide(&want, live(secret), &remote(&[("password", "y")])), Ok(Step::Keep(_))));
}

#[test]
fn immutability_that_is_asked_for_later_keeps_the_content() {
    let mut want = fixtures::sync();
    let secret = created(&want, &[("password", "x")]);
    want.target.immutable = true;
    let Ok(Step::Replace(secret)) = decide(&want, live(secret), &remote(&[("password", "y")])) else { panic!() };
    assert_eq!((secret.immutable, data(&secret)[0].1.as_str()), (Some(true), "x"));
}

#[test]
fn what_the_backend_has_no_more_is_deleted_in_exactly_the_state_that_was_seen() {
    let want = fixtures::sync();
    let secret = created(&want, &[("password", "x")]);
    let meta = Meta::of(&secret.metadata);
    assert_eq!(decide(&want, live(secret), &Remote::Nothing), Ok(Step::Delete(meta)));
    assert_eq!(decide(&want, Target::Absent, &Remote::Nothing), Ok(Step::None));
}

#[test]
fn an_empty_answer_changes_nothing() {
    let want = fixtures::sync();
    let secret = created(&want, &[("password", "x")]);
    let meta = Meta::of(&secret.metadata);
    assert_eq!(decide(&want, live(secret), &Remote::Empty), Ok(Step::Keep(meta)));
    assert_eq!(decide(&want, Target::Absent, &Remote::Empty), Ok(Step::None));
}

proptest! {
    /// Whatever the content is, a second plan on the applied world has nothing to do.
    #[test]
    fn plans_settle(first in proptest::collection::btree_map("[a-z]{1,3}", "[a-z]{0,3}", 0..4),
                    second in proptest::collection::btree_map("[a-z]{1,3}", "[a-z]{0,3}", 0..4)) {
        let want = fixtures::sync();
        let content = |map: BTreeMap<String, String>| {
            Remote::Content(map.into_iter().map(|(key, value)| (key, SecretBytes::from(value))).collect())
        };
        let (first, second) = (content(first), content(second));
        let Ok(Step::Create(mut secret)) = decide(&want, Target::Absent, &first) else { panic!("must create") };
        secret.metadata.uid = Some("u".into());
        let settled = match decide(&want, Target::Live(secret.clone()), &second) {
            Ok(Step::Replace(replaced)) => replaced,
            Ok(Step::Keep(_)) => secret,
            other => panic!("{other:?}"),
        };
        prop_assert!(matches!(decide(&want, Target::Live(settled), &second), Ok(Step::Keep(_))));
    }
}
