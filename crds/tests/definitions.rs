//! The generated files are those of the types, and any cluster takes them.

use std::{env, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyferry_crds::{generate, keys};
use serde_json::{Value, json};

/// More cannot be applied client-side, where all of it goes into an annotation.
const LARGEST: usize = 200_000;

fn definitions() -> Vec<CustomResourceDefinition> {
    generate::definitions().expect("types have schemas")
}

#[test]
fn generated_files_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    let files = generate::files().unwrap();
    if env::var_os("UPDATE").is_some() {
        for (name, content) in &files {
            fs::write(folder.join(name), content).unwrap();
        }
    }
    let mut there: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    for (name, content) in &files {
        let written = fs::read_to_string(folder.join(name)).unwrap();
        // Not compared as values: the difference would be thousands of lines.
        assert!(written == *content, "crds/generated/{name} is out of date: run this test with UPDATE=1");
    }
}

#[test]
fn files_say_the_same_as_the_definitions() {
    for ((name, content), definition) in generate::files().unwrap().iter().zip(definitions()) {
        let read: Value = serde_saphyr::from_str(content).unwrap();
        assert!(read == serde_json::to_value(definition).unwrap(), "{name}");
    }
}

#[test]
fn definitions_are_small_enough_to_be_applied() {
    for (name, content) in generate::files().unwrap() {
        assert!(content.len() < LARGEST, "{name} has {} bytes", content.len());
    }
    for definition in definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < LARGEST, "{:?} has {size} bytes", definition.metadata.name);
    }
}

#[test]
fn names_are_those_that_people_type() {
    let names: Vec<_> = definitions()
        .into_iter()
        .map(|definition| {
            assert_eq!(definition.spec.group, keys::GROUP);
            assert_eq!(definition.metadata.labels.unwrap()[keys::LABEL_COMPONENT], "controller");
            let names = definition.spec.names;
            assert_eq!(definition.metadata.name, Some(format!("{}.{}", names.plural, keys::GROUP)));
            assert_eq!(names.categories.unwrap(), ["external-secrets"]);
            (names.kind, names.plural, names.singular.unwrap(), names.short_names.unwrap(), definition.spec.scope)
        })
        .collect();
    let expected = [
        ("ClusterSecretStore", "clustersecretstores", "clustersecretstore", "css", "Cluster"),
        ("ExternalSecret", "externalsecrets", "externalsecret", "es", "Namespaced"),
        ("SecretStore", "secretstores", "secretstore", "ss", "Namespaced"),
    ];
    let expected = expected.map(|(kind, plural, singular, short, scope)| {
        (kind.to_owned(), plural.to_owned(), singular.to_owned(), vec![short.to_owned()], scope.to_owned())
    });
    assert_eq!(names, expected);
}

#[test]
fn both_versions_are_served_and_take_the_same_objects() {
    for definition in definitions() {
        assert_eq!(definition.spec.conversion, None);
        let [newer, older] = definition.spec.versions.as_slice() else { panic!("two versions") };
        assert_eq!((newer.name.as_str(), newer.served, newer.storage), ("v1", true, true));
        assert_eq!((older.name.as_str(), older.served, older.storage), ("v1beta1", true, false));
        let [mut newer, mut older] = [newer, older].map(|version| {
            let mut json = serde_json::to_value(version).unwrap();
            assert_eq!(json["subresources"], json!({ "status": {} }));
            undescribe(&mut json["schema"]["openAPIV3Schema"]);
            json
        });
        for version in [&mut newer, &mut older] {
            version["name"].take();
            version["storage"].take();
        }
        assert_eq!(newer, older);
    }
}

fn undescribe(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    schema["properties"].as_object_mut().into_iter().flatten().for_each(|(_, schema)| undescribe(schema));
    if schema["items"].is_object() {
        undescribe(&mut schema["items"]);
    }
}

#[test]
fn columns_and_selectable_fields_are_those_that_tools_use() {
    let ready = |field: &str| format!(r#".status.conditions[?(@.type=="Ready")].{field}"#);
    let store = [
        ("AGE", "date", ".metadata.creationTimestamp".to_owned()),
        ("Status", "string", ready("reason")),
        ("Capabilities", "string", ".status.capabilities".to_owned()),
        ("Ready", "string", ready("status")),
    ];
    let external_secret = [
        ("StoreType", "string", ".spec.secretStoreRef.kind".to_owned()),
        ("Store", "string", ".spec.secretStoreRef.name".to_owned()),
        ("Refresh Interval", "string", ".spec.refreshInterval".to_owned()),
        ("Status", "string", ready("reason")),
        ("Ready", "string", ready("status")),
        ("Last Sync", "date", ".status.refreshTime".to_owned()),
    ];
    let selectable =
        [".spec.secretStoreRef.name", ".spec.secretStoreRef.kind", ".spec.target.name", ".spec.refreshInterval"];
    for definition in definitions() {
        let of_external_secret = definition.spec.names.kind == "ExternalSecret";
        for version in &definition.spec.versions {
            let columns = version.additional_printer_columns.iter().flatten();
            let columns: Vec<_> =
                columns.map(|column| (column.name.as_str(), column.type_.as_str(), column.json_path.clone())).collect();
            let fields = version.selectable_fields.iter().flatten();
            let fields: Vec<_> = fields.map(|field| field.json_path.as_str()).collect();
            if of_external_secret {
                assert_eq!(columns, external_secret);
                assert_eq!(fields, selectable);
            } else {
                assert_eq!(columns, store);
                assert!(fields.is_empty());
            }
        }
    }
}

/// GitOps tools compare lists as a whole: a default within one would look like drift for ever.
#[test]
fn no_default_stands_in_a_list() {
    let mut defaults = 0;
    for definition in definitions() {
        for version in &definition.spec.versions {
            let schema = serde_json::to_value(&version.schema).unwrap();
            walk(&schema["openAPIV3Schema"], "", &mut |path, schema| {
                if schema.get("default").is_some() {
                    defaults += 1;
                    assert!(!path.contains("[]"), "{path} has a default");
                }
            });
        }
    }
    assert!(defaults > 0);
}

/// A rule whose cost cannot be bounded would make the API server refuse the definition.
#[test]
fn lists_with_rules_inside_are_bounded() {
    for definition in definitions() {
        for version in &definition.spec.versions {
            let schema = serde_json::to_value(&version.schema).unwrap();
            walk(&schema["openAPIV3Schema"], "", &mut |path, schema| {
                let mut rules = false;
                walk(&schema["items"], "", &mut |_, item| rules |= item.get("x-kubernetes-validations").is_some());
                assert!(!rules || schema["maxItems"].is_u64(), "{path} is not bounded");
            });
        }
    }
}

#[test]
fn every_rule_has_a_message_for_people() {
    let mut rules = 0;
    for definition in definitions() {
        for version in &definition.spec.versions {
            let schema = serde_json::to_value(&version.schema).unwrap();
            walk(&schema["openAPIV3Schema"], "", &mut |path, schema| {
                for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                    rules += 1;
                    let message = rule["message"].as_str().unwrap_or_default();
                    assert!(message.len() > 15 && !message.contains('\n'), "{path}: {rule}");
                }
            });
        }
    }
    assert!(rules > 100, "only {rules}");
}

/// Calls `visit` with each part of a schema and its path.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        walk(schema, &format!("{path}.{name}"), visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
}
