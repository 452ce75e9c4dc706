//! ClusterSecretStore: the same spec and status as SecretStore, for the whole cluster.
//!
//! Written by hand, because kube's derive makes one kind of one spec.

use std::borrow::Cow;

use k8s_openapi::ClusterResourceScope;
use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use super::{SecretStoreSpec, SecretStoreStatus};
use crate::keys::{GROUP, VERSION};

/// A secret backend that ExternalSecrets of many namespaces read from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClusterSecretStore {
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// The backend.
    pub spec: SecretStoreSpec,
    /// How the store is.
    pub status: Option<SecretStoreStatus>,
}

impl ClusterSecretStore {
    /// A store called `name`.
    pub fn new(name: &str, spec: SecretStoreSpec) -> Self {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Self { metadata, spec, status: None }
    }
}

impl Resource for ClusterSecretStore {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "ClusterSecretStore".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "clustersecretstores".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Serialize for ClusterSecretStore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 4 + usize::from(self.status.is_some());
        let mut object = serializer.serialize_struct("ClusterSecretStore", fields)?;
        object.serialize_field("apiVersion", &Self::api_version(&()))?;
        object.serialize_field("kind", &Self::kind(&()))?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        if let Some(status) = &self.status {
            object.serialize_field("status", status)?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::ClusterSecretStore;

    #[test]
    fn it_is_found_where_the_api_server_has_it() {
        assert_eq!(ClusterSecretStore::url_path(&(), None), "/apis/external-secrets.io/v1/clustersecretstores");
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let spec = serde_json::from_str(r#"{"provider":{"fake":{"data":[]}}}"#).unwrap();
        let store = ClusterSecretStore::new("shared", spec);
        let json = serde_json::to_value(&store).unwrap();
        assert_eq!(json["apiVersion"], "external-secrets.io/v1");
        assert_eq!(json["kind"], "ClusterSecretStore");
        assert_eq!(serde_json::from_value::<ClusterSecretStore>(json).unwrap(), store);
    }
}
