//! A cluster for tests of what a store's manifest comes to.

use std::{hash::RandomState, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::{CallObserver, Provider, Unobserved};
use keyferry_crds::SecretStoreSpec;
use keyferry_testkit::{Reply, ScriptedServer};
use kube::{Client, Config};
use serde_json::{Map, Value, json};

use super::{Resolver, Unresolved, provider};
use crate::{cluster::StoreKey, stores::scope::Scope};

/// An API server that knows a few objects of the namespace `team`.
pub(super) struct Cluster(ScriptedServer);

/// A Secret of the namespace `team`, by its path.
pub(super) fn secret(name: &str, keys: &[(&str, &str)]) -> (String, Value) {
    let data: Map<_, _> = keys.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into())).collect();
    let path = format!("/api/v1/namespaces/team/secrets/{name}");
    (path, json!({ "metadata": { "name": name }, "data": data }))
}

/// A selector of one key.
pub(super) fn key(name: &str, key: &str) -> Value {
    json!({ "name": name, "key": key })
}

impl Cluster {
    /// With these objects, by their paths.
    pub(super) async fn holding(objects: impl IntoIterator<Item = (String, Value)>) -> Self {
        let objects: Vec<_> = objects.into_iter().collect();
        let server = ScriptedServer::answering(move |request| {
            let found = objects.iter().find(|(path, _)| *path == request.path);
            found.map_or_else(
                || Reply::json(404, &json!({ "kind": "Status", "code": 404, "reason": "NotFound", "message": "" })),
                |(_, object)| Reply::json(200, object),
            )
        });
        Self(server.await)
    }

    /// What the store whose manifest says `provider` reads with.
    pub(super) async fn build(&self, scope: Scope<'_>, provider: &Value) -> Result<Arc<dyn Provider>, String> {
        let spec: SecretStoreSpec = serde_json::from_value(json!({ "provider": provider })).expect("a spec");
        let calls: Arc<dyn CallObserver> = Arc::new(Unobserved);
        self.resolve(scope, async |resolver| self::provider(&spec, resolver, &calls).await).await
    }

    /// What `build` makes of a part of a store's manifest.
    pub(super) async fn resolve<T>(
        &self,
        scope: Scope<'_>,
        build: impl AsyncFnOnce(&mut Resolver<'_>) -> Result<T, Unresolved>,
    ) -> Result<T, String> {
        let config = Config::new(self.0.url().parse().expect("an address"));
        let client = Client::try_from(config).expect("a client");
        let (store, key) = (StoreKey::namespaced("team", "store"), RandomState::new());
        let mut resolver = Resolver::new(client, &store, scope, &key);
        build(&mut resolver).await.map_err(|error| match error {
            Unresolved::NobodyAsks => "nobody asks".to_owned(),
            Unresolved::Trouble(trouble) => trouble.to_string(),
        })
    }

    /// What stands in the way of that.
    pub(super) async fn refusal(&self, scope: Scope<'_>, provider: &Value) -> String {
        self.build(scope, provider).await.expect_err("must not work")
    }

    /// How many objects were asked for.
    pub(super) fn reads(&self) -> usize {
        self.0.requests().len()
    }
}
