//! Each rule of an ExternalSecret: what the API server says by its CEL rules and what we say ourselves is the same.

use serde_json::{Value, json};

use crate::{ExternalSecretSpec, admission, api_server};

/// A spec that is right, with `more` put over it.
fn spec(more: &Value) -> Value {
    let mut spec = json!({
        "secretStoreRef": { "name": "store" },
        "data": [{ "secretKey": "password", "remoteRef": { "key": "prod/db" } }],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// Field and problem of everything that is wrong.
#[track_caller]
fn told(spec: &Value) -> Vec<(String, String)> {
    let by_api_server = api_server::told("ExternalSecret", spec);
    assert_eq!(told_by_operator(spec), by_api_server, "{spec}");
    by_api_server
}

fn told_by_operator(spec: &Value) -> Vec<(String, String)> {
    let spec: ExternalSecretSpec = serde_json::from_value(spec.clone()).unwrap();
    let violations = admission::external_secret_violations(&spec).into_iter();
    let mut told: Vec<_> = violations.map(|violation| (violation.field, violation.problem.into_owned())).collect();
    told.sort();
    told
}

#[track_caller]
fn accepted(more: &Value) {
    assert_eq!(told(&spec(more)), []);
}

#[track_caller]
fn refused(more: &Value, field: &str, message: &str) {
    let told = told(&spec(more));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, field);
    assert!(told[0].1.contains(message), "{told:?}");
}

fn entry(key: &str) -> Value {
    json!({ "secretKey": key, "remoteRef": { "key": "a" } })
}

#[test]
fn something_is_fetched() {
    accepted(&json!({}));
    accepted(&json!({ "data": [], "dataFrom": [{ "extract": { "key": "a" } }] }));
    for nothing in [json!({ "data": [] }), json!({ "data": [], "dataFrom": [] })] {
        refused(&nothing, "spec", "add an entry");
    }
}

#[test]
fn secret_keys_are_different_where_the_secret_is_retained() {
    let twice = json!([entry("a"), entry("b"), entry("a")]);
    accepted(&json!({ "data": [entry("a"), entry("b")] }));
    accepted(&json!({ "data": twice, "target": { "deletionPolicy": "Delete" } }));
    refused(&json!({ "data": twice }), "spec", "the same secretKey: rename one");
    refused(&json!({ "data": twice, "target": { "name": "a" } }), "spec", "the same secretKey");
}

/// Comparing many keys costs more than the API server spends on a rule.
#[test]
fn same_keys_of_long_lists_are_left_to_the_operator() {
    let entries = |count: usize| {
        let mut entries: Vec<_> = (0..count).map(|index| entry(&format!("key-{index}"))).collect();
        entries[count - 1] = entry("key-0");
        spec(&json!({ "data": entries }))
    };
    assert_eq!(told(&entries(100)).len(), 1);
    assert_eq!(api_server::told("ExternalSecret", &entries(101)), []);
    assert_eq!(told_by_operator(&entries(101)), told(&entries(100)));
}

#[test]
fn deleting_needs_a_secret_of_its_own() {
    let with = |creation: &str| json!({ "target": { "deletionPolicy": "Delete", "creationPolicy": creation } });
    for own in ["Owner", "Orphan"] {
        accepted(&with(own));
    }
    for shared in ["Merge", "None", "CreateOrMerge"] {
        refused(&with(shared), "spec.target", "set creationPolicy to Owner or Orphan");
    }
    accepted(&json!({ "target": { "deletionPolicy": "Delete" } }));
}

#[test]
fn merging_away_needs_something_that_is_written() {
    let with = |creation: &str| json!({ "target": { "deletionPolicy": "Merge", "creationPolicy": creation } });
    for written in ["Owner", "Orphan", "Merge", "CreateOrMerge"] {
        accepted(&with(written));
    }
    refused(&with("None"), "spec.target", "writes nothing to merge into");
}

#[test]
fn a_data_from_entry_fetches_exactly_one_thing() {
    let (extract, find) = (json!({ "key": "a" }), json!({ "name": { "regexp": "a" } }));
    let generator = json!({ "generatorRef": { "kind": "Password", "name": "a" } });
    let store = json!({ "storeRef": { "name": "other" } });
    for good in [
        json!({ "extract": extract }),
        json!({ "find": find, "sourceRef": store }),
        json!({ "sourceRef": generator }),
        json!({ "sourceRef": store }),
    ] {
        accepted(&json!({ "dataFrom": [good] }));
    }
    for several in [
        json!({ "extract": extract, "find": find }),
        json!({ "extract": extract, "sourceRef": generator }),
        json!({ "find": find, "sourceRef": generator }),
    ] {
        refused(&json!({ "dataFrom": [several] }), "spec.dataFrom[0]", "more than one of extract, find");
    }
    refused(&json!({ "dataFrom": [{ "rewrite": [] }] }), "spec.dataFrom[0]", "nothing to fetch: add extract");
}

#[test]
fn a_source_is_a_store_or_a_generator() {
    let both = json!({ "storeRef": { "name": "a" }, "generatorRef": { "kind": "Password", "name": "a" } });
    for bad in [json!({}), both.clone()] {
        let data = json!({ "data": [{ "secretKey": "a", "remoteRef": { "key": "a" }, "sourceRef": bad }] });
        refused(&data, "spec.data[0].sourceRef", "exactly one of storeRef and generatorRef");
    }
    refused(&json!({ "dataFrom": [{ "sourceRef": {} }] }), "spec.dataFrom[0].sourceRef", "exactly one of");
    refused(&json!({ "dataFrom": [{ "sourceRef": both }] }), "spec.dataFrom[0].sourceRef", "exactly one of");
}

#[test]
fn a_rewrite_is_one_change() {
    let with = |rewrite: Value| json!({ "dataFrom": [{ "extract": { "key": "a" }, "rewrite": [rewrite] }] });
    let regexp = json!({ "source": "a", "target": "b" });
    for good in [json!({ "regexp": regexp }), json!({ "transform": { "template": "a" } }), json!({ "merge": {} })] {
        accepted(&with(good));
    }
    for bad in [json!({}), json!({ "regexp": regexp, "merge": {} })] {
        refused(&with(bad), "spec.dataFrom[0].rewrite[0]", "exactly one of regexp, transform and merge");
    }
}

#[test]
fn bootstrap_tokens_are_never_made() {
    let template = json!({ "target": { "template": { "type": "bootstrap.kubernetes.io/token" } } });
    refused(&template, "spec.target.template", "use another type");
    accepted(&json!({ "target": { "template": { "type": "kubernetes.io/tls" } } }));
}

#[test]
fn tokens_of_service_accounts_are_never_made() {
    let with = |kind: &str, more: Value| {
        let mut template = json!({ "type": kind });
        template.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "target": { "template": template } })
    };
    let token = "kubernetes.io/service-account-token";
    let annotated = json!({ "metadata": { "annotations": { "kubernetes.io/service-account.name": "admin" } } });
    let templated = |target: &str| json!({ "templateFrom": [{ "literal": "a: b", "target": target }] });
    accepted(&with(token, json!({})));
    accepted(&with(token, templated("Data")));
    accepted(&with("Opaque", annotated.clone()));
    accepted(&with("Opaque", templated("Annotations")));
    refused(&with(token, annotated), "spec.target.template", "remove the annotation");
    for target in ["Annotations", "annotations"] {
        refused(&with(token, templated(target)), "spec.target.template", "remove the templateFrom");
    }
}

#[test]
fn templates_make_what_a_secret_has() {
    let with = |target: &str, manifest: Option<(&str, &str)>| {
        let mut into = json!({ "template": { "templateFrom": [{ "literal": "a: b", "target": target }] } });
        if let Some((version, kind)) = manifest {
            into["manifest"] = json!({ "apiVersion": version, "kind": kind });
        }
        json!({ "target": into })
    };
    for good in ["", "Data", "data", "Annotations", "LABELS"] {
        accepted(&with(good, None));
    }
    accepted(&with("spec.rules[0]", Some(("example.com/v1", "Rule"))));
    let message = "use Data, Annotations or Labels";
    refused(&with("spec", None), "spec.target", message);
    refused(&with("spec", Some(("v1", "Secret"))), "spec.target", message);
}

#[test]
fn intervals_are_durations() {
    for good in ["0", "1h", "1h0m0s", "1.5h", "300ms"] {
        accepted(&json!({ "refreshInterval": good }));
    }
    for bad in ["1d", "-1h", "60", ""] {
        refused(&json!({ "refreshInterval": bad }), "spec.refreshInterval", "days are 24h");
    }
    let window = |duration: &str| json!({ "syncWindows": { "kind": "allow", "windows": [{ "schedule": "@daily", "duration": duration }] } });
    accepted(&window("2h"));
    refused(&window("2 hours"), "spec.syncWindows.windows[0].duration", "is not a duration");
}

#[test]
fn defaults_are_those_of_the_types() {
    let schema = api_server::schema("ExternalSecret");
    let object = kube_cel::apply_defaults(schema, &json!({ "spec": spec(&json!({})) }));
    let spec: ExternalSecretSpec = serde_json::from_value(object["spec"].clone()).unwrap();
    let target = spec.target.unwrap();
    assert_eq!(target.creation_policy, Some(super::CreationPolicy::default()));
    assert_eq!(target.deletion_policy, Some(super::DeletionPolicy::default()));
    assert_eq!(spec.refresh_interval.unwrap().as_str(), "1h0m0s");
}
