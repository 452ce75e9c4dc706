//! CustomResourceDefinitions, as a cluster gets them.

use std::{collections::BTreeMap, error::Error};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use kube::CustomResourceExt;

use crate::{
    ExternalSecret, SecretStore,
    admission::problem,
    keys::{GROUP, LABEL_COMPONENT, VERSION_BETA},
    schema::structural,
};

/// All definitions, by name. They are more than the types' own `crd()`: both versions, and schemas without `null`.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    let store = shorten(complete(SecretStore::crd(), &structural::<SecretStore>()?));
    // Not shortened: the API server takes equal selectable fields only from versions whose schemas are equal, too.
    let external_secret = complete(ExternalSecret::crd(), &structural::<ExternalSecret>()?);
    Ok(vec![cluster_wide(store.clone()), external_secret, store])
}

/// The files that hold the definitions: name and content.
pub fn files() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    // The schemas are deep: with the usual two spaces a third of the files would be blanks.
    let options = serde_saphyr::ser_options! { indent_step: 1 };
    let file = |definition: &CustomResourceDefinition| {
        let mut content = HEADER.to_owned();
        serde_saphyr::to_fmt_writer_with_options(&mut content, definition, options.clone())?;
        Ok((format!("{}.yaml", definition.spec.names.plural), content))
    };
    definitions()?.iter().map(file).collect()
}

/// The first line of every file.
const HEADER: &str =
    "# Generated from the types in crds/src: do not edit, change those and run `cargo run -p keyferry-crds`.\n";

/// Gives a definition its final schema, its label and its second version. The two versions take the same objects, so
/// that the API server can convert between them by itself.
fn complete(mut definition: CustomResourceDefinition, schema: &JSONSchemaProps) -> CustomResourceDefinition {
    definition.metadata.labels = Some(BTreeMap::from([(LABEL_COMPONENT.to_owned(), "controller".to_owned())]));
    let versions = &mut definition.spec.versions;
    for version in &mut *versions {
        version.schema.get_or_insert_default().open_api_v3_schema = Some(schema.clone());
    }
    let older = versions.first().cloned().map(|mut version| {
        VERSION_BETA.clone_into(&mut version.name);
        version.storage = false;
        version
    });
    versions.extend(older);
    definition
}

/// Takes the descriptions out of the older version: a definition that is too large cannot be applied.
fn shorten(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let older = definition.spec.versions.iter_mut().filter(|version| !version.storage);
    older.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut()).for_each(undescribe);
    definition
}

fn undescribe(schema: &mut JSONSchemaProps) {
    schema.description = None;
    schema.properties.iter_mut().flat_map(BTreeMap::values_mut).for_each(undescribe);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        undescribe(items);
    }
}

/// Makes the definition of ClusterSecretStore out of that of SecretStore.
fn cluster_wide(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = CustomResourceDefinitionNames {
        kind: "ClusterSecretStore".to_owned(),
        plural: "clustersecretstores".to_owned(),
        singular: Some("clustersecretstore".to_owned()),
        short_names: Some(vec!["css".to_owned()]),
        ..definition.spec.names
    };
    definition.metadata.name = Some(format!("{}.{GROUP}", names.plural));
    definition.spec.names = names;
    definition.spec.scope = String::from("Cluster");
    let schemas = definition.spec.versions.iter_mut();
    for schema in schemas.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut()) {
        if let Some(description) = &mut schema.description {
            "A secret backend that ExternalSecrets of many namespaces read from.".clone_into(description);
        }
        for path in NEED_NAMESPACE {
            if let Some(field) = field(schema, path) {
                field.x_kubernetes_validations.get_or_insert_default().push(names_namespace());
            }
        }
    }
    definition
}

/// References in which a ClusterSecretStore must name the namespace, because they are the store's own.
pub(crate) const NEED_NAMESPACE: [&str; 15] = [
    "spec.provider.akeyless.authSecretRef.accessID",
    "spec.provider.akeyless.authSecretRef.accessType",
    "spec.provider.akeyless.authSecretRef.accessTypeParam",
    "spec.provider.akeyless.authSecretRef.kubernetesAuth.secretRef",
    "spec.provider.akeyless.authSecretRef.secretRef.accessID",
    "spec.provider.akeyless.authSecretRef.secretRef.accessType",
    "spec.provider.akeyless.authSecretRef.secretRef.accessTypeParam",
    "spec.provider.akeyless.caProvider",
    "spec.provider.infisical.caProvider",
    "spec.provider.kubernetes.auth.cert.clientCert",
    "spec.provider.kubernetes.auth.cert.clientKey",
    "spec.provider.kubernetes.auth.token.bearerToken",
    "spec.provider.kubernetes.server.caProvider",
    "spec.provider.vault.caProvider",
    "spec.provider.webhook.caProvider",
];

fn names_namespace() -> ValidationRule {
    ValidationRule {
        rule: "!has(self.name) || has(self.__namespace__)".to_owned(),
        message: Some(problem::NAMESPACE.to_owned()),
        ..ValidationRule::default()
    }
}

fn field<'a>(schema: &'a mut JSONSchemaProps, path: &str) -> Option<&'a mut JSONSchemaProps> {
    path.split('.').try_fold(schema, |schema, name| schema.properties.as_mut()?.get_mut(name))
}
