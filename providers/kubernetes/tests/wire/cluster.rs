//! The same against a real cluster: `KUBECONFIG=… cargo test -p keyferry-kubernetes -- --ignored`. The kubeconfig must
//! hold its credentials itself; in its namespace `default` it needs two Secrets `keyferry-a` and `keyferry-b` with the
//! label `keyferry=test`, the key `text` with the value `hello` and the key `binary` with the bytes fe ed 00.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_core::{ErrorKind, Locator, Provider, Query, RemoteName, Unobserved, Want};
use keyferry_kubernetes::{Auth, Kubernetes, KubernetesConfig};
use tokio::time::Instant;

use crate::rig::{latest, text};

#[tokio::test]
#[ignore = "needs a cluster"]
async fn a_real_api_server_agrees() {
    let file = std::env::var("KUBECONFIG").expect("KUBECONFIG is set");
    let kubeconfig = std::fs::read(file).expect("a readable file");
    let config = KubernetesConfig::new(Auth::Kubeconfig(kubeconfig.into()));
    let store = Kubernetes::new(config, Arc::new(Unobserved)).expect("a provider");
    assert_eq!(store.check().await, Ok(()));
    let metadata = Locator { want: Want::Metadata, ..latest("keyferry-a") };
    let at = [latest("keyferry-a"), metadata, latest("keyferry-missing")];
    let [value, metadata, missing] = store.fetch(&at, Instant::now()).await.try_into().expect("three answers");
    let value = value.expect("a value");
    assert_eq!(text(&value), r#"{"binary":"/u0A","text":"hello"}"#);
    assert!(value.base64.contains("binary"));
    assert!(text(&metadata.expect("metadata")).contains(r#""labels":{"keyferry":"test"}"#));
    assert_eq!(missing.map_err(|error| error.kind), Err(ErrorKind::NotFound));
    let tags = BTreeMap::from([("keyferry".to_owned(), "test".to_owned())]);
    let page = store.list(&Query { tags, ..Query::default() }, Instant::now()).await.expect("a page");
    let names: Vec<&RemoteName> = page.items.iter().map(|item| &item.name).collect();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["keyferry-a", "keyferry-b"]);
}
