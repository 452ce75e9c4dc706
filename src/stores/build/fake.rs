//! Values that stand in the store itself.

use std::sync::Arc;

use keyferry_core::{Provider, SecretBytes};
use keyferry_crds::{FakeData, FakeSpec};
use keyferry_fake::{Config, Entry, Fake, Validation};

use crate::stores::resolve::Unresolved;

pub(super) fn provider(spec: &FakeSpec) -> Result<Arc<dyn Provider>, Unresolved> {
    let validation = spec.validation_result.map_or(Ok(Validation::default()), |n| Validation::from_number(n.into()))?;
    Ok(Arc::new(Fake::new(Config { entries: spec.data.iter().map(entry).collect(), validation })?))
}

fn entry(data: &FakeData) -> Entry {
    Entry {
        key: data.key.clone(),
        value: data.value.as_ref().map(|value| SecretBytes::from(value.as_str())).unwrap_or_default(),
        version: data.version.clone().filter(|version| !version.is_empty()),
    }
}
