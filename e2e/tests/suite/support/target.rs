//! Reading target Secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

/// The content of a Secret as text.
pub(crate) fn values(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned())).collect()
}

/// Everything by which one would notice that a Secret was touched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Bytes {
    uid: Option<String>,
    resource_version: Option<String>,
    data: BTreeMap<String, Vec<u8>>,
}

impl Bytes {
    pub(crate) fn of(secret: &Secret) -> Self {
        let data = secret.data.iter().flatten();
        Self {
            uid: secret.metadata.uid.clone(),
            resource_version: secret.metadata.resource_version.clone(),
            data: data.map(|(key, value)| (key.clone(), value.0.clone())).collect(),
        }
    }
}
