//! Manifests as people write them and as clusters hold them.

use keyferry_crds::{
    ClusterSecretStore, DecodingStrategy, EngineVersion, ExternalSecret, ProviderSpec, SecretKeySelector, SecretStore,
    admission::{self, Scope},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Reads YAML, and expects to find all of it in what is written again.
#[track_caller]
fn read<K: DeserializeOwned + Serialize>(yaml: &str) -> K {
    let before: Value = serde_saphyr::from_str(yaml).expect("a good manifest");
    let object: K = serde_json::from_value(before.clone()).expect("a good manifest");
    contains(&serde_json::to_value(&object).expect("a good manifest"), &before, "");
    object
}

#[track_caller]
fn contains(after: &Value, before: &Value, at: &str) {
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => {
            for (name, value) in before.iter().filter(|(name, _)| *name != "apiVersion") {
                contains(after.get(name).unwrap_or(&Value::Null), value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(after), Value::Array(before)) => {
            assert_eq!(after.len(), before.len(), "{at}");
            after.iter().zip(before).for_each(|(after, before)| contains(after, before, &format!("{at}[]")));
        }
        _ => assert_eq!(after, before, "{at}"),
    }
}

fn problems(store: &SecretStore) -> Vec<String> {
    let namespace = store.metadata.namespace.as_deref().unwrap_or_default();
    let violations = admission::violations(&store.spec, Scope::Namespace(namespace));
    violations.iter().map(ToString::to_string).collect()
}

/// A GitOps platform's manifests, with the access ID directly below authSecretRef.
#[test]
fn flat_akeyless_layout() {
    let store: SecretStore = read(
        r#"
apiVersion: external-secrets.io/v1beta1
kind: SecretStore
metadata:
  name: akeyless-store
  namespace: my-app
spec:
  provider:
    akeyless:
      akeylessGWApiURL: "https://api.akeyless.io"
      authSecretRef:
        accessID:
          name: akeyless-auth
          key: access-id
        accessType:
          name: akeyless-auth
          key: access-type
"#,
    );
    assert_eq!(problems(&store), Vec::<String>::new());
    let ProviderSpec::Akeyless(akeyless) = &store.spec.provider else { panic!("akeyless") };
    let named =
        |key: &str| SecretKeySelector { name: Some("akeyless-auth".into()), namespace: None, key: Some(key.into()) };
    let selectors = akeyless.auth_secret_ref.selectors();
    assert_eq!(selectors.access_id, Some(&named("access-id")));
    assert_eq!(selectors.access_type, Some(&named("access-type")));
    assert_eq!(selectors.access_type_param, None);
    let external_secret: ExternalSecret = read(
        "
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata:
  name: db-credentials
  namespace: my-app
spec:
  refreshInterval: 1h
  secretStoreRef:
    name: akeyless-store
    kind: SecretStore
  target:
    name: db-credentials
  data:
    - secretKey: password
      remoteRef:
        key: /portefaix/prod/db/password
",
    );
    let data = external_secret.spec.data.unwrap();
    assert_eq!(
        (data[0].secret_key.as_str(), data[0].remote_ref.key.as_str()),
        ("password", "/portefaix/prod/db/password")
    );
}

#[test]
fn nested_akeyless_layout() {
    let store: ClusterSecretStore = read(
        "
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: { name: akeyless }
spec:
  controller: dev
  refreshInterval: 300
  conditions:
    - namespaceSelector: { matchLabels: { team: a }, matchExpressions: [{ key: env, operator: In, values: [prod] }] }
    - namespaces: [a, b]
      namespaceRegexes: ['^team-']
  provider:
    akeyless:
      akeylessGWApiURL: https://gw.example:8000/v2
      caProvider: { type: ConfigMap, name: ca, key: ca.crt, namespace: ops }
      authSecretRef:
        secretRef:
          accessID: { name: login, namespace: ops, key: id }
          accessType: { name: login, namespace: ops, key: type }
          accessTypeParam: { name: login, namespace: ops, key: param }
",
    );
    assert_eq!(admission::violations(&store.spec, Scope::Cluster), []);
    let ProviderSpec::Akeyless(akeyless) = &store.spec.provider else { panic!("akeyless") };
    let selectors = akeyless.auth_secret_ref.selectors();
    assert_eq!(selectors.access_type_param.unwrap().key.as_deref(), Some("param"));
    assert_eq!(store.spec.check_interval().unwrap().as_secs(), 300);
}

#[test]
fn vault_with_each_common_login() {
    let store: SecretStore = read(
        "
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: { name: vault, namespace: app }
spec:
  retrySettings: { maxRetries: 3, retryInterval: 5s }
  refreshInterval: 10m
  provider:
    vault:
      server: https://vault.example:8200
      path: secret
      version: v2
      namespace: team
      headers: { X-Team: a }
      caBundle: LS0tLS1CRUdJTg==
      readYourWrites: true
      checkAndSet: { required: true }
      auth:
        namespace: root
        tokenSecretRef: { name: token, key: token }
        appRole: { path: approle, roleId: r, secretRef: { name: role, key: secret-id } }
        kubernetes: { mountPath: kubernetes, role: app, serviceAccountRef: { name: app, audiences: [vault] } }
        jwt:
          path: jwt
          role: app
          kubernetesServiceAccountToken:
            serviceAccountRef: { name: app }
            audiences: [vault]
            expirationSeconds: 600
        userPass: { path: userpass, username: u, secretRef: { name: user, key: password } }
",
    );
    assert_eq!(problems(&store), Vec::<String>::new());
    assert_eq!(store.spec.references().len(), 5);
    assert!(!format!("{store:?}").contains("X-Team"), "headers may hold secrets");
}

#[test]
fn what_the_schema_fills_in_need_not_be_written() {
    let store: SecretStore = read(
        "
metadata: { name: vault, namespace: app }
spec: { provider: { vault: { server: 'https://v', auth: { appRole: { roleId: r, secretRef: { name: a, key: b } } } } } }
",
    );
    let ProviderSpec::Vault(vault) = &store.spec.provider else { panic!("vault") };
    assert_eq!(vault.auth.as_ref().unwrap().app_role.as_ref().unwrap().path, "approle");
    assert_eq!(vault.version, keyferry_crds::VaultVersion::V2);
}

#[test]
fn other_providers() {
    let stores = [
        "aws: { service: ParameterStore, region: eu-central-1, role: 'arn:x', auth: { jwt: { serviceAccountRef: { name: a } } } }",
        "gcpsm: { projectID: p, auth: { workloadIdentity: { clusterLocation: l, clusterName: c, serviceAccountRef: { name: a } } } }",
        "azurekv: { vaultUrl: 'https://v', authType: WorkloadIdentity, serviceAccountRef: { name: a } }",
        "infisical: { auth: { universalAuthCredentials: { clientId: { name: a, key: b }, clientSecret: { name: a, key: c } } },
                      secretsScope: { projectSlug: p, environmentSlug: dev, secretsPath: / } }",
        "kubernetes: { remoteNamespace: ops, server: { caProvider: { type: ConfigMap, name: kube-root-ca.crt } },
                       auth: { serviceAccount: { name: a } } }",
        "webhook: { url: 'https://a/{{ .remoteRef.key }}', headers: { A: b }, body: x, timeout: 5s,
                    result: { jsonPath: $.a }, secrets: [{ name: s, secretRef: { name: a } }] }",
        "fake: { data: [{ key: /a, value: b, version: v1 }] }",
    ];
    for provider in stores {
        let store: SecretStore =
            read(&format!("metadata: {{ name: a, namespace: app }}\nspec: {{ provider: {{ {provider} }} }}"));
        assert_eq!(problems(&store), Vec::<String>::new(), "{provider}");
    }
}

#[test]
fn an_external_secret_with_everything() {
    let object: ExternalSecret = read(
        "
metadata: { name: all, namespace: app }
spec:
  secretStoreRef: { name: store, kind: ClusterSecretStore }
  refreshPolicy: OnChange
  refreshInterval: 1h0m0s
  syncWindows: { kind: deny, windows: [{ schedule: '0 8 * * 1-5', duration: 2h }] }
  target:
    name: all
    creationPolicy: CreateOrMerge
    deletionPolicy: Merge
    immutable: false
    manifest: { apiVersion: v1, kind: ConfigMap }
    template:
      type: Opaque
      engineVersion: v2
      mergePolicy: Merge
      metadata: { annotations: { a: b }, labels: { c: d }, finalizers: [e] }
      data: { config: 'x {{ .password }}' }
      templateFrom:
        - configMap: { name: t, items: [{ key: k, templateAs: KeysAndValues }] }
          target: spec.a
          valuesDecodingStrategy: Base64URL
        - secret: { name: t, items: [{ key: k }] }
        - literal: 'a: b'
  data:
    - secretKey: password
      remoteRef:
        key: prod/db
        property: a.b
        version: '3'
        metadataPolicy: Fetch
        conversionStrategy: Unicode
        decodingStrategy: Auto
        nullBytePolicy: Fail
      sourceRef: { storeRef: { name: other, kind: SecretStore } }
  dataFrom:
    - extract: { key: prod/app, decodingStrategy: Base64URL }
      rewrite:
        - regexp: { source: a, target: b }
        - transform: { template: '{{ .value }}' }
        - merge: { strategy: JSON, into: all, priority: [x], priorityPolicy: IgnoreNotFound, conflictPolicy: Ignore }
    - find: { path: a, name: { regexp: b }, tags: { c: d }, conversionStrategy: Default }
    - sourceRef: { generatorRef: { apiVersion: generators.external-secrets.io/v1alpha1, kind: SSHKey, name: g } }
status:
  refreshTime: '2026-01-01T00:00:00Z'
  syncedResourceVersion: 1-abc
  binding: { name: all }
  observedGeneration: 1
  target: { uid: u, resourceVersion: '7' }
  conditions:
    - { type: Ready, status: 'True', reason: SecretSynced, message: m, lastTransitionTime: '2026-01-01T00:00:00Z' }
",
    );
    let extract = object.spec.data_from.unwrap()[0].extract.clone().unwrap();
    assert_eq!(extract.decoding_strategy, Some(DecodingStrategy::Base64Url));
}

/// Objects that another operator stored long ago must not become unreadable for want of what is of no use to us.
#[test]
fn fields_that_are_gone_do_no_harm() {
    let store: SecretStore = serde_saphyr::from_str(
        "
metadata: { name: old, namespace: app }
spec: { provider: { fake: { data: [{ key: a, valueMap: { b: c } }] } } }
",
    )
    .unwrap();
    assert_eq!(problems(&store), ["spec.provider.fake.data[0].value is empty: set it"]);
    let object: ExternalSecret = read(
        "
metadata: { name: old, namespace: app }
spec: { target: { template: { engineVersion: v1 } }, dataFrom: [{ extract: { key: a } }] }
",
    );
    assert_eq!(object.spec.target.unwrap().template.unwrap().engine_version, Some(EngineVersion::V1));
}

#[test]
fn a_provider_that_we_do_not_have_is_an_error() {
    for provider in ["alibaba: { regionID: x }", "device42: {}", "fake: { data: [] }, vault: { server: a }", ""] {
        let yaml = format!("metadata: {{ name: a }}\nspec: {{ provider: {{ {provider} }} }}");
        assert!(serde_saphyr::from_str::<SecretStore>(&yaml).is_err(), "{provider}");
        assert!(serde_saphyr::from_str::<ClusterSecretStore>(&yaml).is_err(), "{provider}");
    }
}
