//! Does what was planned. The only file that writes target Secrets.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use keyferry_core::SecretBytes;

use super::{plan::Step, sync::ValidSync, version};
use crate::cluster::{Meta, WriteError, Writer};

/// What was done. Status is computed from this alone, so that it cannot claim what was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) did: Did,
    /// The target as it is now, if there is one.
    pub(crate) target: Option<Meta>,
}

/// What happened to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Created,
    Deleted,
    Nothing,
    Updated,
}

/// Does `step`.
pub(crate) async fn apply(writer: &Writer, want: &ValidSync, step: Step) -> Result<Applied, WriteError> {
    let manager = version::field_manager(&want.key.name);
    let applied = |did, meta| Applied { did, target: Some(meta) };
    match step {
        Step::Create(secret) => writer.create(&secret, &manager).await.map(|meta| applied(Did::Created, meta)),
        Step::Delete(meta) => {
            writer.delete(&want.target_key(), &meta).await?;
            Ok(Applied { did: Did::Deleted, target: None })
        }
        Step::Keep(meta) => Ok(applied(Did::Nothing, meta)),
        Step::None => Ok(Applied { did: Did::Nothing, target: None }),
        Step::Patch { of, data } => {
            let patch = data_patch(&of, &data);
            writer.patch(&want.target_key(), &patch, &manager).await.map(|meta| applied(Did::Updated, meta))
        }
        Step::Replace(secret) => writer.replace(&secret, &manager).await.map(|meta| applied(Did::Updated, meta)),
    }
}

/// A merge patch that fails unless the Secret is still in the state `of`.
fn data_patch(of: &Meta, data: &BTreeMap<String, Option<SecretBytes>>) -> serde_json::Value {
    let encoded = |value: &SecretBytes| BASE64_STANDARD.encode(value.expose());
    let data: BTreeMap<_, _> = data.iter().map(|(key, value)| (key, value.as_ref().map(encoded))).collect();
    serde_json::json!({
        "metadata": { "uid": of.uid, "resourceVersion": of.resource_version },
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::data_patch;
    use crate::cluster::Meta;

    #[test]
    fn a_patch_names_the_state_that_it_is_meant_for() {
        let of = Meta { uid: "u".into(), resource_version: "7".into() };
        let data = [("a".to_owned(), Some(SecretBytes::from("hi"))), ("b".to_owned(), None)].into();
        assert_eq!(
            data_patch(&of, &data),
            serde_json::json!({"metadata": {"uid": "u", "resourceVersion": "7"}, "data": {"a": "aGk=", "b": null}})
        );
    }
}
