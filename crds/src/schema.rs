//! From Rust types to the schemas that the API server takes.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::core::schema::StructuralSchemaRewriter;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

/// Names of most objects.
pub(crate) const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Names of namespaces.
pub(crate) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Keys of Secrets and ConfigMaps.
pub(crate) const DATA_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// The schema of `T` as a CustomResourceDefinition holds it.
pub(crate) fn structural<T: JsonSchema>() -> serde_json::Result<JSONSchemaProps> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        // Before schemars' own, which would make every Option nullable.
        settings.transforms.insert(0, Box::new(NeverNull));
    });
    let generator = settings
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OnlyCel)
        .with_transform(OneLine)
        .into_generator();
    serde_json::from_value(generator.into_root_schema_for::<T>().to_value())
}

/// An Option is its content or absent. The API server drops the `null` of a field that may not be null, and so a
/// rule's `has()` means what it says.
#[derive(Clone, Debug)]
struct NeverNull;

impl Transform for NeverNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [name] = types.as_slice() {
                let name = name.clone();
                object.insert("type".into(), name);
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let Some(Value::Array(branches)) = object.get("anyOf") else { return };
        if let [Value::Object(content), null] = branches.as_slice()
            && *null == serde_json::json!({ "type": "null" })
        {
            let content = content.clone();
            object.remove("anyOf");
            // What the field says of itself goes before what its type says.
            for (key, value) in content {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// Leaves out what serde's enums imply: that exactly one branch must match. The API server's message for that helps
/// nobody; each such field has a rule of ours.
#[derive(Clone, Debug)]
struct OnlyCel;

impl Transform for OnlyCel {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        schema.remove("oneOf");
        schema.remove("title");
    }
}

/// Line breaks of source code mean nothing to whoever reads `kubectl explain`.
#[derive(Clone, Debug)]
struct OneLine;

impl Transform for OneLine {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::{Value, json};

    use super::structural;

    /// Ignored here.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sample {
        /// Of the
        /// field.
        inner: Option<Inner>,
        choice: Option<Choice>,
        word: Option<String>,
        union: Union,
    }

    /// Of the type.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        number: Option<i64>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Choice {
        /// One.
        A,
        /// Other.
        B,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Union {
        /// A number.
        Left(Inner),
        /// A word.
        Right(String),
    }

    #[test]
    fn nothing_is_nullable_and_fields_describe_themselves() {
        let schema = serde_json::to_value(structural::<Sample>().unwrap()).unwrap();
        let inner = json!({
            "type": "object", "properties": { "number": { "type": "integer", "format": "int64" } },
        });
        let described = |text: &str| {
            let mut inner = inner.clone();
            inner["description"] = text.into();
            inner
        };
        assert_eq!(
            schema["properties"],
            json!({
                "inner": described("Of the field."),
                "choice": { "type": "string", "enum": ["A", "B"] },
                "word": { "type": "string" },
                "union": {
                    "type": "object",
                    "properties": {
                        "left": described("A number."),
                        "right": { "type": "string", "description": "A word." },
                    },
                },
            })
        );
        assert_eq!(schema["required"], json!(["union"]));
        assert_eq!(schema["nullable"], Value::Null);
    }
}
