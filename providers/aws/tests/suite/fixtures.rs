//! A server that answers as the test says, and a provider that talks to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use keyferry_aws::{AccessKeys, Aws, AwsConfig, Environment, Identity, Service};
use keyferry_core::{Call, CallObserver, ErrorKind, Fetched, Locator, Provider, RemoteName, Result, Version, Want};
use keyferry_testkit::{Reply, Request, ScriptedServer};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A provider, the server that it talks to, and the calls that its observer heard of.
pub(crate) struct World {
    pub(crate) server: ScriptedServer,
    pub(crate) aws: Aws,
    pub(crate) heard: Arc<Heard>,
}

impl World {
    /// A world in which each request is answered with what `answer` says to its operation.
    pub(crate) async fn new(
        service: Service,
        answer: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(service, |_| {}, answer).await
    }

    /// As [`World::new`], with other settings.
    pub(crate) async fn with(
        service: Service,
        change: impl FnOnce(&mut AwsConfig),
        answer: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let server = ScriptedServer::answering(move |request| answer(&operation(request), request)).await;
        let mut config = config(service, &server.url());
        change(&mut config);
        let heard = Arc::new(Heard::default());
        let aws = Aws::new(config, Arc::clone(&heard) as Arc<dyn CallObserver>).expect("settings that can work");
        Self { server, aws, heard }
    }

    pub(crate) async fn fetch(&self, at: &[Locator]) -> Vec<Result<Arc<Fetched>>> {
        self.aws.fetch(at, Instant::now()).await
    }

    pub(crate) async fn fetch_one(&self, at: Locator) -> Result<Arc<Fetched>> {
        self.fetch(&[at]).await.pop().expect("one answer")
    }

    /// How many requests of each operation the server has seen.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.server.requests() {
            *counts.entry(operation(&request)).or_default() += 1;
        }
        counts
    }

    /// The requests of one operation.
    pub(crate) fn sent(&self, name: &str) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| operation(request) == name).collect()
    }
}

/// Settings for a server at `url`.
pub(crate) fn config(service: Service, url: &str) -> AwsConfig {
    let url = url.to_owned();
    AwsConfig {
        service,
        region: "eu-west-1".into(),
        identity: Identity::Keys(AccessKeys { id: KEY.into(), secret: SECRET.into(), session_token: None }),
        additional_roles: Vec::new(),
        role: None,
        prefix: String::new(),
        environment: Environment::of(move |name| (name == "AWS_ENDPOINT_URL").then(|| url.clone())),
    }
}

/// Remembers what it hears.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Call>>);

impl CallObserver for Heard {
    fn called(&self, call: Call) {
        self.0.lock().expect("no test panics while it holds this").push(call);
    }
}

impl Heard {
    pub(crate) fn outcomes(&self) -> Vec<(&'static str, std::result::Result<(), ErrorKind>)> {
        let calls = self.0.lock().expect("no test panics while it holds this");
        calls.iter().map(|call| (call.operation, call.outcome)).collect()
    }
}

/// What a request asks for, in both of AWS's protocols.
pub(crate) fn operation(request: &Request) -> String {
    let target = request.header("x-amz-target");
    match target.rsplit_once('.') {
        Some((_, operation)) => operation.to_owned(),
        None => form(request).remove("Action").unwrap_or_default(),
    }
}

/// The body of a request to STS.
pub(crate) fn form(request: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

pub(crate) fn ok(body: &Value) -> Reply {
    Reply::json(200, body)
}

/// A refusal as the services with JSON send it.
pub(crate) fn refuse(code: &str, message: &str) -> Reply {
    Reply::json(400, &json!({"__type": code, "Message": message})).header("x-amzn-RequestId", "5f1e-77")
}

/// A refusal as STS sends it.
pub(crate) fn refuse_login(code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>5f1e-88</RequestId></ErrorResponse>"
    );
    Reply::text(403, body).header("Content-Type", "text/xml").header("x-amzn-RequestId", "5f1e-88")
}

/// A session that STS began, with `key` as its access key id and `hunter2` for the rest.
pub(crate) fn session(operation: &str, key: &str) -> Reply {
    let body = format!(
        "<{operation}Response><{operation}Result><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>hunter2</SecretAccessKey><SessionToken>hunter2-token</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{operation}Result></{operation}Response>"
    );
    Reply::text(200, body).header("Content-Type", "text/xml")
}

pub(crate) fn caller() -> Reply {
    let body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/me</Arn>\
                <UserId>AIDA</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    Reply::text(200, body).header("Content-Type", "text/xml")
}

pub(crate) fn latest(name: &str) -> Locator {
    Locator::latest(RemoteName::new(name).expect("a name"))
}

pub(crate) fn version(name: &str, version: &str) -> Locator {
    Locator { version: Some(Version::new(version).expect("a version")), ..latest(name) }
}

pub(crate) fn tags(name: &str) -> Locator {
    Locator { want: Want::Metadata, ..latest(name) }
}

/// Each answer in short: the value, or the kind of the failure.
pub(crate) fn short(answers: &[Result<Arc<Fetched>>]) -> Vec<std::result::Result<&str, ErrorKind>> {
    answers
        .iter()
        .map(|answer| match answer {
            Ok(fetched) => Ok(fetched.value.expose_str().expect("text")),
            Err(error) => Err(error.kind),
        })
        .collect()
}
