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

#[cfg(test)]
mod tests {
    use keyferry_core::{Locator, RemoteName, SecretBytes, Version};
    use keyferry_crds::FakeSpec;
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::provider;
    use crate::stores::resolve::Unresolved;

    fn refusal(spec: Value) -> String {
        let spec: FakeSpec = serde_json::from_value(spec).expect("a spec");
        match provider(&spec) {
            Err(Unresolved::Trouble(trouble)) => trouble.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_work_is_named_with_its_remedy() {
        for (spec, told) in [
            (
                json!({ "data": [{ "key": "", "value": "hunter2" }] }),
                "InvalidConfiguration: spec.provider: data[0].key is empty; set it or remove the entry",
            ),
            // As other operators stored it long ago.
            (
                json!({ "data": [{ "key": "a", "value": "hunter2" }, { "key": "b" }] }),
                "InvalidConfiguration: spec.provider: data[1].value is empty; set it or remove the entry",
            ),
            (
                json!({ "data": [], "validationResult": 3 }),
                "InvalidConfiguration: spec.provider: validationResult is 3; set it to 0 (ready), 1 (unknown) or 2 (error)",
            ),
        ] {
            let refusal = refusal(spec);
            assert!(refusal.starts_with(told) && !refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn an_empty_version_is_none() {
        let data =
            json!([{ "key": "a", "value": "plain", "version": "" }, { "key": "a", "value": "old", "version": "v1" }]);
        let spec: FakeSpec = serde_json::from_value(json!({ "data": data })).expect("a spec");
        let fake = provider(&spec).expect("a provider");
        let latest = Locator::latest(RemoteName::new("a").expect("a name"));
        let old = Locator { version: Version::new("v1").ok(), ..latest.clone() };
        let values = fake.fetch(&[latest, old], Instant::now()).await;
        let values: Vec<_> = values.into_iter().map(|answer| answer.expect("a value").value.clone()).collect();
        assert_eq!(values, ["plain", "old"].map(SecretBytes::from));
    }
}
