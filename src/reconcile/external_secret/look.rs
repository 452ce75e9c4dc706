//! The target as it stands, and as we left it.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{
    ExternalSecrets,
    apply::Applied,
    due::TargetSeen,
    memory::Record,
    ownership,
    plan::{self, Target},
    sync::ValidSync,
    version,
};
use crate::{
    cluster::{Meta, error_text},
    trouble::Trouble,
};

impl ExternalSecrets {
    /// The target as it stands: from memory where its metadata vouches for it, else read from the API server.
    pub(super) async fn look(&self, want: &ValidSync, record: &Record, anew: bool) -> Result<Target, Trouble> {
        let key = want.target_key();
        if !anew {
            match (self.secrets.get(&key), &record.written) {
                (None, _) => return Ok(Target::Absent),
                (Some(seen), Some(written))
                    if (*seen == written.meta || seen.is_older_than(&written.meta))
                        && plan::vouches(want, written, &self.marker) =>
                {
                    return Ok(Target::Remembered(written.clone()));
                }
                _ => {}
            }
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        match secrets.get_opt(&key.name).await {
            Ok(Some(live)) => Ok(Target::Live(Box::new(live))),
            Ok(None) => Ok(Target::Absent),
            Err(error) => Err(Trouble::passing(
                "KubernetesUnreachable",
                format!("failed to read the target Secret {key}: {}", error_text(&error)),
            )),
        }
    }

    /// A target that another operator left, or that a process before us wrote without coming to note it: if it says
    /// itself that it is untouched, there is no need to read the backend for it.
    pub(super) async fn adopt(&self, want: &ValidSync, record: &mut Record) {
        let key = want.target_key();
        if self.secrets.get(&key).is_none() {
            return;
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        if let Ok(Some(live)) = secrets.get_opt(&key.name).await
            && ownership::refusal(want, &live).is_none()
            && version::is_untouched(&live)
        {
            record.target = Some(Meta::of(&live.metadata));
        }
    }

    /// Puts what was written into our copy at once: the watch will say the same, but later.
    pub(super) fn see(&self, want: &ValidSync, applied: &Applied) {
        match &applied.target {
            Some(meta) => {
                self.secrets.put(&want.target_key(), meta.clone(), Meta::is_older_than);
            }
            None => {
                self.secrets.remove(&want.target_key());
            }
        }
    }

    /// How it looks from outside, without reading it.
    pub(super) fn target_seen(&self, want: &ValidSync, record: &Record) -> TargetSeen {
        match (self.secrets.get(&want.target_key()), &record.target) {
            (None, _) => TargetSeen::Absent,
            (Some(seen), Some(ours)) if *seen == *ours || seen.is_older_than(ours) => TargetSeen::Untouched,
            (Some(_), _) => TargetSeen::Changed,
        }
    }
}
