//! The list of references is that of the schemas.

use serde_json::{Value, json};

use crate::{SecretStoreSpec, admission::problem, api_server, generate};

/// Each of these, and no other reference, must name its namespace in a ClusterSecretStore.
#[test]
fn both_sides_agree_on_references_that_need_a_namespace() {
    let needed: Vec<_> = known().into_iter().filter(|(_, needs_namespace)| *needs_namespace).collect();
    assert_eq!(needed.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), generate::NEED_NAMESPACE);
    for (path, _) in needed {
        let pointer = format!("/properties/{}", path.replace('.', "/properties/"));
        let rules = &api_server::schema("ClusterSecretStore").pointer(&pointer).unwrap()["x-kubernetes-validations"];
        let ours = |rule: &Value| rule["message"] == problem::NAMESPACE;
        assert!(rules.as_array().unwrap().iter().any(ours), "{path}");
    }
}

/// Every selector in the schema is also known to [`SecretStoreSpec::references`].
#[test]
fn no_reference_is_forgotten() {
    let mut there = Vec::new();
    selectors(provider(), "spec.provider", &mut there);
    there.sort();
    assert_eq!(known().into_iter().map(|(field, _)| field).collect::<Vec<_>>(), there);
}

/// The references of stores that have everything in them that the schema has: field, and whether it needs a namespace.
fn known() -> Vec<(String, bool)> {
    let mut known = Vec::new();
    for (name, schema) in provider()["properties"].as_object().unwrap() {
        let spec = json!({ "provider": { name: filled(schema) } });
        let spec: SecretStoreSpec = serde_json::from_value(spec).unwrap();
        known.extend(spec.references().into_iter().map(|reference| (reference.field, reference.needs_namespace)));
    }
    known.sort();
    known
}

fn provider() -> &'static Value {
    &api_server::schema("SecretStore")["properties"]["spec"]["properties"]["provider"]
}

/// Paths of all objects in a schema that have both a name and a namespace.
fn selectors(schema: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        if properties.contains_key("name") && properties.contains_key("namespace") {
            found.push(at.to_owned());
        }
        for (name, schema) in properties {
            selectors(schema, &format!("{at}.{name}"), found);
        }
    }
    if schema["items"].is_object() {
        selectors(&schema["items"], &format!("{at}[0]"), found);
    }
}

/// Something that a schema accepts, with all optional fields.
fn filled(schema: &Value) -> Value {
    if let Some(value) = schema["enum"].get(0).or_else(|| schema.get("default")) {
        return value.clone();
    }
    match schema["type"].as_str() {
        Some("array") => json!([filled(&schema["items"])]),
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), filled(schema))).collect::<serde_json::Map<_, _>>().into()
        }
        _ => json!("a"),
    }
}
