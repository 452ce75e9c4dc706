//! Texts and hashes that ExternalSecrets and their targets carry, in the form that other operators left them in a
//! cluster: so that nothing looks changed only because Keyferry took over.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use keyferry_crds::keys;
use sha3::{Digest, Sha3_224};
use zeroize::Zeroizing;

/// `status.syncedResourceVersion`: changes with the spec and with any label or annotation.
pub(crate) fn synced_version(
    generation: i64,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> String {
    let text = format!("{{annotations:{} labels:{}}}", go_map(annotations), go_map(labels));
    format!("{generation}-{}", sha3_224_hex(text.as_bytes()))
}

/// Value of the label that says which ExternalSecret owns a target.
pub(crate) fn owner_label(namespace: &str, name: &str) -> String {
    sha3_224_hex(format!("{namespace}/{name}").as_bytes())
}

/// The name under which one ExternalSecret's writes are recorded on its target.
pub(crate) fn field_manager(name: &str) -> String {
    /// Kubernetes takes up to 128 characters; other operators stop here, and we must recognise their names.
    const LONGEST: usize = 63;
    let plain = format!("{PREFIX}{name}");
    if plain.len() <= LONGEST { plain } else { format!("{PREFIX}sha3/{}", sha3_224_hex(name.as_bytes())) }
}

/// What the name of every such manager begins with.
pub(crate) const PREFIX: &str = "externalsecrets.external-secrets.io/";

/// Whether a target's own mark says that its data is as the operator left it that wrote the mark.
pub(crate) fn is_untouched(target: &Secret) -> bool {
    let mark = target.metadata.annotations.as_ref().and_then(|annotations| annotations.get(keys::ANNOTATION_DATA_HASH));
    mark.is_some_and(|mark| *mark == data_hash(target))
}

/// The hash of a Secret's data that other operators put on it. We only ever compare it: a hash of a short value can
/// be guessed offline.
fn data_hash(target: &Secret) -> String {
    let pair = |(key, value): (&String, &ByteString)| {
        let bytes: Vec<_> = value.0.iter().map(u8::to_string).collect();
        format!("{key}:[{}]", bytes.join(" "))
    };
    let pairs: Vec<_> = target.data.iter().flatten().map(pair).collect();
    let text = Zeroizing::new(format!("map[{}]", pairs.join(" ")));
    sha3_224_hex(text.as_bytes())
}

fn sha3_224_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(56);
    for byte in Sha3_224::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A map as Go prints it with `%v`.
fn go_map(map: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<_> = map.into_iter().flatten().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("map[{}]", pairs.join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::{ByteString, api::core::v1::Secret};
    use keyferry_crds::keys;

    use super::{data_hash, field_manager, is_untouched, owner_label, sha3_224_hex, synced_version};

    fn secret(data: &[(&str, &str)]) -> Secret {
        let bytes = |value: &str| ByteString(value.as_bytes().to_vec());
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), bytes(value))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    #[test]
    fn data_hashes_are_those_that_targets_carry() {
        let hash = |data| data_hash(&secret(data));
        assert_eq!(
            hash(&[("foo", "value1"), ("bar", "value2")]),
            "1bed8bcbcb4547ffe19a19cd47d9078e84aa6598266d86b99f992d64"
        );
        assert_eq!(hash(&[("a", "x"), ("b", "")]), "c896d3fbfd12323968f8d795dbd9d1a71489ad16be1035a89a94e7e4");
        assert_eq!(data_hash(&Secret::default()), "74a974446e359fb3e6baff9bd0058950e6edd0f040888d9989b0a11b");
    }

    #[test]
    fn an_edited_target_is_told_by_its_own_mark() {
        let mut target = secret(&[("foo", "bar")]);
        let mark = "f2a604b87eb0cf673761e8cfea850f901fe73a3d1b2f338802107f36".to_owned();
        target.metadata.annotations = Some([(keys::ANNOTATION_DATA_HASH.to_owned(), mark)].into());
        assert!(is_untouched(&target));
        target.data = secret(&[("foo", "edited")]).data;
        assert!(!is_untouched(&target));
        assert!(!is_untouched(&secret(&[("foo", "bar")])));
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn hashes_are_those_that_clusters_hold() {
        assert_eq!(sha3_224_hex(b"hello there"), "f78681ec611ebaeea0689bff6c7812a83ff98a7faba986d9af76c999");
        assert_eq!(owner_label("default", "my-es"), "b8464376b5fe3535e690594280bfe59b60be2603cb6cbb6d6c8bcbb4");
        assert_eq!(synced_version(1, None, None), "1-f47fe3c0b255b6dd8047cdffa772587bb829efe7a1cb70febeda2eb2");
        assert_eq!(
            synced_version(7, Some(&map(&[("c", "d"), ("e", "f")])), Some(&map(&[("a", "b")]))),
            "7-f8dfff7021a800d4c23b6f8af1a8675ca0f521edbc0bed307f45ac1b"
        );
    }

    #[test]
    fn a_long_name_is_hashed_into_the_field_manager() {
        assert_eq!(field_manager("db"), "externalsecrets.external-secrets.io/db");
        let long = field_manager(&"x".repeat(200));
        assert!(long.starts_with("externalsecrets.external-secrets.io/sha3/") && long.len() <= 128, "{long}");
    }
}
