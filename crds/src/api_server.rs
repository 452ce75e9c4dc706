//! What the API server would say to an object, by the CEL rules of its schema.

use std::{collections::HashMap, sync::LazyLock};

use kube_cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use serde_json::{Value, json};

use crate::generate;

struct Rules {
    schema: Value,
    compiled: CompiledSchema,
}

static RULES: LazyLock<HashMap<String, Rules>> = LazyLock::new(|| {
    let definitions = generate::definitions().unwrap();
    let rules = definitions.into_iter().map(|definition| {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take();
        let compiled = compile_schema(&schema);
        (definition.spec.names.kind, Rules { schema, compiled })
    });
    rules.collect()
});

/// The schema of `kind`.
pub(crate) fn schema(kind: &str) -> &'static Value {
    &RULES[kind].schema
}

/// Field and message of each rule that `spec`, after defaults, does not meet.
pub(crate) fn told(kind: &str, spec: &Value) -> Vec<(String, String)> {
    let Rules { schema, compiled } = &RULES[kind];
    let object = apply_defaults(schema, &json!({ "spec": spec }));
    let Err(errors) = Validator::new().validate_compiled(compiled, &object, None) else { return Vec::new() };
    let told = errors.into_iter().map(|error| {
        // Anything else is a mistake in the rule itself.
        assert_eq!(error.kind, ErrorKind::ValidationFailure, "{error}");
        (error.field_path, error.message)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}
