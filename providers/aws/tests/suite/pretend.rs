//! A small AWS: as much of Secrets Manager, Parameter Store and STS as a reader meets, with sessions that end, items
//! that are denied, and faults. It checks every signature.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyferry_testkit::{Fault, Reply, Request};
use serde_json::{Value, json};

use crate::{
    fixtures::{caller, form, ok, operation, refuse, refuse_login, session},
    signature::assert_signed,
};

/// Both services keep their items in the same way.
#[derive(Debug, Default)]
pub(crate) struct Pretend(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) denied: BTreeSet<String>,
    pub(crate) fault: Option<Fault>,
    /// Access key ids of the sessions that hold.
    pub(crate) sessions: BTreeSet<String>,
    pub(crate) refuses_logins: bool,
    pub(crate) logins: usize,
    pub(crate) reads: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Item {
    /// Values, the oldest first.
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// What AWS says no to, by its code.
type Refused = &'static str;

impl Pretend {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let operation = operation(request);
        if operation == "AssumeRoleWithWebIdentity" {
            return state.begin_session(request);
        }
        if operation.starts_with("Get") || operation.starts_with("Batch") {
            state.reads += usize::from(operation != "GetCallerIdentity");
        }
        if let Some(fault) = state.fault {
            return faulty(fault);
        }
        let authorization = request.header("authorization");
        let key = authorization
            .split_once("Credential=")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map_or("", |part| part.0);
        if !state.sessions.contains(key) {
            return if operation == "GetCallerIdentity" {
                refuse_login("ExpiredToken", "")
            } else {
                refuse("ExpiredTokenException", "")
            };
        }
        let target = request.header("x-amz-target");
        let service = if target.starts_with("AmazonSSM") { "ssm" } else { "secretsmanager" };
        let service = if target.is_empty() { "sts" } else { service };
        assert_signed(request, key, "hunter2", "eu-west-1", service);
        if service == "sts" {
            return caller();
        }
        let answer = state.answer(&operation, &request.json());
        answer.map_or_else(|code| refuse(code, ""), |body| ok(&body))
    }
}

impl State {
    fn begin_session(&mut self, request: &Request) -> Reply {
        self.logins += 1;
        if self.refuses_logins || !form(request).contains_key("WebIdentityToken") {
            return refuse_login("AccessDenied", "");
        }
        let key = format!("ASIA{}", self.logins);
        self.sessions.insert(key.clone());
        session("AssumeRoleWithWebIdentity", &key)
    }

    fn answer(&self, operation: &str, sent: &Value) -> Result<Value, Refused> {
        let text = |name: &str| sent[name].as_str();
        let list = |name: &str| -> Vec<&str> {
            sent[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        match operation {
            "GetSecretValue" => self.secret(text("SecretId").unwrap_or_default(), text("VersionId")),
            "BatchGetSecretValue" => {
                let (mut values, mut errors) = (Vec::new(), Vec::new());
                for id in list("SecretIdList") {
                    match self.secret(id, None) {
                        Ok(value) => values.push(value),
                        Err(code) => errors.push(json!({"SecretId": id, "ErrorCode": code})),
                    }
                }
                values.reverse();
                Ok(json!({"SecretValues": values, "Errors": errors}))
            }
            "DescribeSecret" => {
                let name = text("SecretId").unwrap_or_default();
                Ok(json!({"ARN": arn(name), "Name": name, "Tags": self.tags(name, "ResourceNotFoundException")?}))
            }
            "ListSecrets" => {
                let beginning = filter(sent, "Filters", "name");
                let names: Vec<_> = self.items.keys().filter(|name| name.starts_with(beginning)).collect();
                let entry = |name: &String| json!({"Name": name, "ARN": arn(name), "Tags": self.tags(name, "").unwrap_or_default()});
                Ok(page("SecretList", &names, sent, &entry))
            }
            "GetParameter" => Ok(json!({"Parameter": self.parameter(text("Name").unwrap_or_default())?})),
            "GetParameters" => {
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                for name in list("Names") {
                    match self.parameter(name) {
                        Ok(parameter) => found.push(parameter),
                        Err("AccessDeniedException") => return Err("AccessDeniedException"),
                        Err(_) => invalid.push(name),
                    }
                }
                found.reverse();
                Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
            }
            "ListTagsForResource" => {
                Ok(json!({"TagList": self.tags(text("ResourceId").unwrap_or_default(), "InvalidResourceId")?}))
            }
            "DescribeParameters" => {
                let path = format!("{}/", filter(sent, "ParameterFilters", "Path").trim_end_matches('/'));
                let tagged = |item: &Item| {
                    sent["ParameterFilters"].as_array().into_iter().flatten().all(|filter| {
                        let key = filter["Key"].as_str().and_then(|key| key.strip_prefix("tag:"));
                        key.is_none_or(|key| item.tags.get(key).map(String::as_str) == filter["Values"][0].as_str())
                    })
                };
                let names = self.items.iter().filter(|(name, item)| name.starts_with(&path) && tagged(item));
                let names: Vec<_> = names.map(|(name, _)| name).collect();
                Ok(page("Parameters", &names, sent, &|name: &String| json!({"Name": name})))
            }
            _ => Err("UnknownOperationException"),
        }
    }

    fn item(&self, name: &str, missing: Refused) -> Result<&Item, Refused> {
        if self.denied.contains(name) {
            return Err("AccessDeniedException");
        }
        self.items.get(name).ok_or(missing)
    }

    fn secret(&self, name: &str, version: Option<&str>) -> Result<Value, Refused> {
        let missing = "ResourceNotFoundException";
        let item = self.item(name, missing)?;
        let number = match version {
            Some(version) => version.strip_prefix("version-").and_then(|number| number.parse().ok()).ok_or(missing)?,
            None => item.versions.len(),
        };
        let value = number.checked_sub(1).and_then(|index: usize| item.versions.get(index)).ok_or(missing)?;
        let mut secret = json!({"ARN": arn(name), "Name": name, "VersionId": format!("version-{number}")});
        match std::str::from_utf8(value) {
            Ok(text) => secret["SecretString"] = text.into(),
            Err(_) => secret["SecretBinary"] = aws_smithy_types::base64::encode(value).into(),
        }
        Ok(secret)
    }

    fn parameter(&self, asked: &str) -> Result<Value, Refused> {
        let (name, version) = asked.split_once(':').map_or((asked, None), |(name, version)| (name, Some(version)));
        let item = self.item(name, "ParameterNotFound")?;
        let missing = "ParameterVersionNotFound";
        let number = match version {
            Some(version) => version.parse().map_err(|_| missing)?,
            None => item.versions.len(),
        };
        let value = number.checked_sub(1).and_then(|index: usize| item.versions.get(index)).ok_or(missing)?;
        let selector = version.map(|version| format!(":{version}"));
        Ok(json!({"Name": name, "Value": String::from_utf8_lossy(value), "Version": number, "Selector": selector}))
    }

    fn tags(&self, name: &str, missing: Refused) -> Result<Vec<Value>, Refused> {
        let item = self.item(name, missing)?;
        Ok(item.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect())
    }
}

fn faulty(fault: Fault) -> Reply {
    match fault {
        Fault::BlackHole => Reply::hang(),
        Fault::EmptyAnswer => Reply::text(200, ""),
        Fault::HalfAnswer => ok(&json!({"SecretString": "half", "Parameter": {"Value": "half"}})).truncated(),
        Fault::ServerError => Reply::json(500, &json!({"__type": "InternalServiceError"})),
        Fault::Throttled { after } => {
            refuse("ThrottlingException", "").header("Retry-After", &after.as_secs().to_string())
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf")
}

fn filter<'a>(sent: &'a Value, filters: &str, key: &str) -> &'a str {
    let filter = sent[filters].as_array().and_then(|filters| filters.iter().find(|filter| filter["Key"] == key));
    filter.and_then(|filter| filter["Values"][0].as_str()).unwrap_or_default()
}

/// The page that was asked for; a page's place is the number of what was before it.
fn page(list: &str, names: &[&String], sent: &Value, entry: &dyn Fn(&String) -> Value) -> Value {
    let start = sent["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let end = names
        .len()
        .min(start + sent["MaxResults"].as_u64().map_or(10, |most| usize::try_from(most).expect("a small number")));
    let entries: Vec<_> = names[start..end].iter().map(|name| entry(name)).collect();
    let next = (end < names.len()).then(|| end.to_string());
    json!({list: entries, "NextToken": next})
}
