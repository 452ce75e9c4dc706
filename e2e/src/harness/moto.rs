//! Moto, which speaks AWS's APIs, with everything in memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::layout::tool;
use super::ports::free_port;
use super::process::Process;
use super::run_dir::RunDir;
use super::wait::while_running;

/// The account of everybody whom moto does not know.
pub const AWS_ACCOUNT: &str = "123456789012";

const REGION: &str = "eu-west-1";

/// Takes some seconds: it imports all services.
const START_DEADLINE: Duration = Duration::from_secs(60);

const POLICY_NAME: (&str, &str) = ("PolicyName", "reader");
const POLICY: (&str, &str) = (
    "PolicyDocument",
    r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["secretsmanager:*", "sts:AssumeRole"], "Resource": "*"}
    ]}"#,
);

/// A running moto. Unlike AWS it lets everybody in, until [`Moto::enforce`]. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    // The process first: it ends before its files go.
    _process: Process,
    http: reqwest::Client,
    url: String,
    _dir: RunDir,
}

/// What a client signs with.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The token of a session.
    pub session_token: Option<String>,
}

impl Moto {
    /// Starts moto, without anything in it.
    pub async fn start() -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (dir, port) = (RunDir::create("moto")?, free_port()?);
        let arguments = ["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
        let mut process = Process::start(&tool("moto_server")?, arguments, [], dir.file("moto.log"))?;
        let http = reqwest::Client::builder().no_proxy().build().context("failed to make an HTTP client")?;
        let url = format!("http://127.0.0.1:{port}");
        let accounts = format!("{url}/moto-api/data.json");
        while_running(&mut [&mut process], "moto is ready", START_DEADLINE, async || {
            Ok(http.get(&accounts).send().await.ok().filter(|answer| answer.status().is_success()))
        })
        .await?;
        Ok(Self { _process: process, http, url, _dir: dir })
    }

    /// The base URL, for all services.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls an operation of Secrets Manager in an account.
    pub async fn secrets_manager(&self, account: &str, operation: &str, body: &Value) -> Result<()> {
        self.json("secretsmanager", &format!("secretsmanager.{operation}"), account, body).await
    }

    /// Calls an operation of Parameter Store in the account of everybody.
    pub async fn parameter_store(&self, operation: &str, body: &Value) -> Result<()> {
        self.json("ssm", &format!("AmazonSSM.{operation}"), AWS_ACCOUNT, body).await
    }

    /// Makes a user that may read every secret and assume every role.
    pub async fn user(&self, name: &str) -> Result<AwsKeys> {
        self.form("iam", &[("Action", "CreateUser"), ("UserName", name)]).await?;
        self.form("iam", &[("Action", "PutUserPolicy"), ("UserName", name), POLICY_NAME, POLICY]).await?;
        AwsKeys::of(&self.form("iam", &[("Action", "CreateAccessKey"), ("UserName", name)]).await?)
    }

    /// Makes a role that may do the same, and begins a session of it.
    pub async fn session(&self, name: &str) -> Result<AwsKeys> {
        let role = [("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", "{}")];
        self.form("iam", &role).await?;
        self.form("iam", &[("Action", "PutRolePolicy"), ("RoleName", name), POLICY_NAME, POLICY]).await?;
        let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:role/{name}");
        let fields = [("Action", "AssumeRole"), ("RoleArn", &arn), ("RoleSessionName", "person")];
        AwsKeys::of(&self.form("sts", &fields).await?)
    }

    /// The sessions of roles that were begun so far, with what each was asked for with: `role_arn`, `external_id`.
    pub async fn sessions(&self) -> Result<Vec<Value>> {
        let data = self.http.get(format!("{}/moto-api/data.json", self.url)).send().await?.error_for_status()?;
        let data: Value = data.json().await.context("moto does not tell what it holds")?;
        Ok(data["sts"]["AssumedRole"].as_array().cloned().unwrap_or_default())
    }

    /// From now on checks signatures and policies, as AWS does.
    pub async fn enforce(&self) -> Result<()> {
        self.http.post(format!("{}/moto-api/reset-auth", self.url)).body("0").send().await?.error_for_status()?;
        Ok(())
    }

    async fn json(&self, service: &str, target: &str, account: &str, body: &Value) -> Result<()> {
        let request = self.request(service).header("X-Amz-Target", target).header("x-moto-account-id", account);
        let request = request.header("Content-Type", "application/x-amz-json-1.1").body(body.to_string());
        answer(request, target).await?;
        Ok(())
    }

    async fn form(&self, service: &str, fields: &[(&str, &str)]) -> Result<String> {
        let mut query = url(&self.url)?;
        query.query_pairs_mut().extend_pairs(fields);
        let body = query.query().unwrap_or_default().to_owned();
        let request = self.request(service).header("Content-Type", "application/x-www-form-urlencoded");
        answer(request.body(body), service).await
    }

    /// The scope of the signature tells service and region; the signature itself is not looked at.
    fn request(&self, service: &str) -> RequestBuilder {
        let scope = format!("AKIAADMINISTRATOR/20260101/{REGION}/{service}/aws4_request");
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        self.http.post(&self.url).header("Authorization", signature)
    }
}

impl AwsKeys {
    fn of(answer: &str) -> Result<Self> {
        let element = |name: &str| {
            let (_, rest) = answer.split_once(&format!("<{name}>"))?;
            rest.split_once("</").map(|(value, _)| value.to_owned())
        };
        Ok(Self {
            id: element("AccessKeyId").context("the answer has no access key")?,
            secret: element("SecretAccessKey").context("the answer has no secret access key")?,
            session_token: element("SessionToken"),
        })
    }
}

async fn answer(request: RequestBuilder, what: &str) -> Result<String> {
    let answer = request.send().await.with_context(|| format!("failed to ask moto: {what}"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "moto refused {what}: {status}: {text}");
    Ok(text)
}

fn url(text: &str) -> Result<reqwest::Url> {
    text.parse().with_context(|| format!("{text} is not a URL"))
}
