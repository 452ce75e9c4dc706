//! What the login may do, without trying it: trying would read a value.

use keyferry_core::{ErrorKind, Result};
use keyferry_rest::{Answer, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{KubernetesClient, operation, refusal};

impl KubernetesClient {
    /// Whether the login may get Secrets. Its rules say so; if they do not, an authorizer that knows no rules is asked.
    pub(crate) async fn may_get_secrets(&self) -> Result<()> {
        let spec = json!({"namespace": self.namespace()});
        let answer = self.review(operation::RULES_REVIEW, "SelfSubjectRulesReview", &spec).await?;
        // Who may not ask for all rules may still ask about one.
        if answer.status() != 403 {
            let Reviewed { status: Rules { resource_rules } } = reviewed(&answer, self.namespace())?;
            if resource_rules.iter().any(Rule::allows) {
                return Ok(());
            }
        }
        let attributes = json!({"namespace": self.namespace(), "verb": "get", "resource": "secrets"});
        let spec = json!({"resourceAttributes": attributes});
        let answer = self.review(operation::ACCESS_REVIEW, "SelfSubjectAccessReview", &spec).await?;
        // Who may ask nothing at all may still read; that much is found out by reading.
        if answer.status() == 403 {
            return Ok(());
        }
        let Reviewed { status: Access { allowed } } = reviewed(&answer, self.namespace())?;
        if allowed {
            return Ok(());
        }
        let text = format!(
            "the login may not get Secrets in namespace {0}; bind it to a Role in {0} that allows `get` on `secrets`",
            self.namespace()
        );
        Err(answer.error(ErrorKind::AccessDenied, text))
    }

    async fn review(&self, operation: &'static str, kind: &str, spec: &Value) -> Result<Answer> {
        let path = format!("apis/authorization.k8s.io/v1/{}s", kind.to_ascii_lowercase());
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let about = format!("{kind} of namespace {}", self.namespace());
        self.send(operation, Method::POST, &path, |request| request.about(&about).json(&body)).await
    }
}

fn reviewed<'a, T: Deserialize<'a>>(answer: &'a Answer, namespace: &str) -> Result<Reviewed<T>> {
    if answer.is_success() { answer.json() } else { Err(refusal(answer, namespace)) }
}

#[derive(Deserialize)]
struct Reviewed<T> {
    status: T,
}

#[derive(Deserialize)]
struct Access {
    allowed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    #[serde(default)]
    resource_rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
}

impl Rule {
    /// Also a rule for some Secrets only counts: least privilege is no fault.
    fn allows(&self) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|entry| entry == wanted || entry == "*");
        has(&self.verbs, "get") && has(&self.api_groups, "") && has(&self.resources, "secrets")
    }
}
