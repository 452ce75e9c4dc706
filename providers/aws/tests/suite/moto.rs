//! The conformance suite against moto, which others wrote after AWS's own behaviour. It checks no signature and denies
//! nothing, so that those cases are left to the server of our own.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_secretsmanager::{primitives::Blob, types::Tag};
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag as ParameterTag};
use keyferry_aws::{Aws, AwsConfig, Identity, Service};
use keyferry_core::{Provider, RemoteName, SecretBytes, Unobserved, Version};
use keyferry_testkit::{Able, Stored, Subject, conformance};
use tokio::process::{Child, Command};

use crate::{
    conformance::{name, nested, parameter_holds},
    fixtures::{config, latest},
    login::Account,
};

struct Moto {
    service: Service,
    aws: Arc<Aws>,
    secrets: aws_sdk_secretsmanager::Client,
    parameters: aws_sdk_ssm::Client,
    _server: Child,
}

/// The program, where the repository's script has installed it.
fn program() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bin/moto_server");
    path.exists().then_some(path)
}

impl Moto {
    /// `None`, and a line that says so, where moto is not installed.
    async fn start(service: Service) -> Option<Self> {
        let Some(program) = program() else {
            // Unlike what `println!` says, this is also seen when the test passes.
            let _ = writeln!(io::stderr(), "SKIPPED: moto is not installed; run e2e/backends/install.sh");
            return None;
        };
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut server = command.stderr(Stdio::null()).kill_on_drop(true).spawn().expect("moto starts");
        let url = format!("http://127.0.0.1:{port}");
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            assert_eq!(server.try_wait().expect("a child"), None, "moto ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let account = Account::new(&[("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/reader")]);
        let config = AwsConfig { identity: Identity::ServiceAccount(account), ..config(service, &url) };
        let aws = Aws::new(config, Arc::new(Unobserved)).expect("settings that can work");
        let sdk = administrator(&url);
        let (secrets, parameters) = (aws_sdk_secretsmanager::Client::new(&sdk), aws_sdk_ssm::Client::new(&sdk));
        Some(Self { service, aws: Arc::new(aws), secrets, parameters, _server: server })
    }

    async fn put_secret(&self, name: &str, value: &[u8]) -> String {
        let text = std::str::from_utf8(value).ok().map(ToOwned::to_owned);
        let binary = text.is_none().then(|| Blob::new(value));
        let create = self.secrets.create_secret().name(name);
        let create = create.set_secret_string(text.clone()).set_secret_binary(binary.clone());
        let version = if let Ok(made) = create.send().await {
            made.version_id
        } else {
            let put = self.secrets.put_secret_value().secret_id(name);
            put.set_secret_string(text).set_secret_binary(binary).send().await.expect("moto stores it").version_id
        };
        version.expect("a version")
    }
}

fn administrator(url: &str) -> aws_types::SdkConfig {
    let credentials = aws_credential_types::Credentials::new("AKIATEST", "test", None, None, "test");
    aws_types::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_types::region::Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(aws_types::sdk_config::SharedCredentialsProvider::new(credentials))
        .http_client(
            aws_smithy_http_client::Builder::new()
                .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                    aws_smithy_http_client::tls::rustls_provider::CryptoMode::AwsLc,
                ))
                .build_https(),
        )
        .build()
}

#[async_trait]
impl Subject for Moto {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.aws) as Arc<dyn Provider>
    }

    fn name(&self, label: &str) -> RemoteName {
        name(self.service, label)
    }

    async fn put(&self, name: &RemoteName, value: &[u8]) -> Able<Stored> {
        let version = if self.service == Service::ParameterStore {
            parameter_holds(value)?;
            let text = String::from_utf8_lossy(value);
            let put =
                self.parameters.put_parameter().name(name.as_str()).value(text).r#type(ParameterType::SecureString);
            put.overwrite(true).send().await.expect("moto stores it").version.to_string()
        } else {
            format!("uuid/{}", self.put_secret(name.as_str(), value).await)
        };
        Ok(Stored { reads_as: SecretBytes::new(value), version: Version::new(version).ok() })
    }

    async fn delete(&self, name: &RemoteName) -> Able {
        if self.service == Service::ParameterStore {
            self.parameters.delete_parameter().name(name.as_str()).send().await.expect("moto deletes it");
        } else {
            // It is marked for deletion, as it is when a person deletes it.
            self.secrets.delete_secret().secret_id(name.as_str()).send().await.expect("moto deletes it");
        }
        Ok(())
    }

    async fn tag(&self, name: &RemoteName, tags: &BTreeMap<String, String>) -> Able {
        if self.service == Service::ParameterStore {
            let tag = |(key, value): (&String, &String)| ParameterTag::builder().key(key).value(value).build();
            let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>().expect("tags");
            let request = self.parameters.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
            request.resource_id(name.as_str()).set_tags(Some(tags)).send().await.expect("moto tags it");
        } else {
            let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
            let request = self.secrets.tag_resource().secret_id(name.as_str());
            request.set_tags(Some(tags)).send().await.expect("moto tags it");
        }
        Ok(())
    }

    fn nested(&self, label: &str) -> Able<(String, RemoteName)> {
        Ok(nested(self.service, label))
    }

    fn absent_version(&self) -> Option<Version> {
        let version =
            if self.service == Service::ParameterStore { "99" } else { "uuid/00000000-0000-4000-8000-000000000000" };
        Version::new(version).ok()
    }

    fn credentials(&self) -> Vec<SecretBytes> {
        vec!["hunter2.jwt".into()]
    }

    /// More than two pages; the server of our own has a thousand, and is quicker.
    fn many(&self) -> usize {
        201
    }
}

#[tokio::test]
async fn secrets_manager_conforms() {
    if let Some(moto) = Moto::start(Service::SecretsManager).await {
        conformance(&moto).await.assert_conforms();
    }
}

#[tokio::test]
async fn parameter_store_conforms() {
    if let Some(moto) = Moto::start(Service::ParameterStore).await {
        conformance(&moto).await.assert_conforms();
        let label =
            moto.parameters.label_parameter_version().name("/conformance/get").parameter_version(1).labels("prod");
        label.send().await.expect("moto labels it");
        let labelled = crate::fixtures::version("/conformance/get", "prod");
        let answers = moto.aws.fetch(&[labelled, latest("/conformance/get")], tokio::time::Instant::now()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}
