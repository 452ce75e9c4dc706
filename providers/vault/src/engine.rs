//! Whether an engine can say that a secret is not there.

use keyferry_core::{Result, SecretBytes};
use serde::Deserialize;

use crate::client::{Ask, VaultClient, Within, operation, refusal};

/// What is mounted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Mounted {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Debug, Default, Deserialize)]
struct Options {
    #[serde(default)]
    version: Option<String>,
}

impl Mounted {
    /// Whether the engine takes the paths of KV version 2 for names of secrets of its own, and so answers that there are
    /// none.
    pub(crate) fn takes_paths_for_names(&self) -> bool {
        let version = self.options.as_ref().and_then(|options| options.version.as_deref());
        match self.kind.as_str() {
            "kv" => version != Some("2"),
            "cubbyhole" | "generic" => true,
            _ => false,
        }
    }
}

impl VaultClient {
    /// What is mounted at `mount`. Nothing where the server does not tell: it tells whoever may use the engine, but old
    /// ones and proxies may not.
    pub(crate) async fn mounted(&self, mount: &str, token: Option<&SecretBytes>) -> Result<Mounted> {
        #[derive(Deserialize)]
        struct Envelope {
            data: Mounted,
        }
        let path = format!("sys/internal/ui/mounts/{mount}");
        let answer = self.send(Ask::read(operation::MOUNT, &path, token), |request| request).await?;
        match answer.status() {
            200 => Ok(answer.hint().map(|Envelope { data }| data).unwrap_or_default()),
            400 | 403 | 404 | 405 => Ok(Mounted::default()),
            _ => Err(refusal(&answer, Within::Secrets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Mounted;

    fn takes_paths_for_names(mounted: Value) -> bool {
        serde_json::from_value::<Mounted>(mounted).expect("a mount").takes_paths_for_names()
    }

    #[test]
    fn only_engines_that_are_known_to_mislead_are_not_believed() {
        for mounted in [
            json!({"type": "kv", "options": {"version": "1"}}),
            json!({"type": "kv", "options": null}),
            json!({"type": "kv", "options": {}}),
            json!({"type": "generic"}),
            json!({"type": "cubbyhole", "options": null}),
        ] {
            assert!(takes_paths_for_names(mounted.clone()), "{mounted}");
        }
        for mounted in [json!({"type": "kv", "options": {"version": "2"}}), json!({"type": "our-own-kv"}), json!({})] {
            assert!(!takes_paths_for_names(mounted.clone()), "{mounted}");
        }
    }
}
