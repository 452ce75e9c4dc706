//! Whether a store works.

use keyferry_core::{ErrorKind, Provider};
use keyferry_testkit::Reply;
use serde_json::{Value, json};

use crate::rig::{ACCESS, RULES, Rig, status};

fn rules(rules: &Value) -> Reply {
    Reply::json(201, &json!({"status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": false}}))
}

fn access(allowed: bool) -> Reply {
    Reply::json(201, &json!({"status": {"allowed": allowed, "reason": "hunter2"}}))
}

#[tokio::test]
async fn a_rule_that_allows_it_is_enough() {
    for rule in [
        json!({"verbs": ["list", "get"], "apiGroups": [""], "resources": ["configmaps", "secrets"]}),
        json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
        json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}),
    ] {
        let rig = Rig::expecting([(RULES, rules(&json!([rule])))]).await;
        assert_eq!(rig.store.check().await, Ok(()));
        let request = &rig.finish()[0];
        assert_eq!(request.json()["spec"], json!({"namespace": "team"}));
        assert_eq!(request.json()["kind"], "SelfSubjectRulesReview");
    }
}

#[tokio::test]
async fn without_a_rule_the_one_access_is_asked_about() {
    let other = json!([
        {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]},
        {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["secrets"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["get"], "nonResourceURLs": ["*"]},
    ]);
    let rig = Rig::expecting([(RULES, rules(&other)), (ACCESS, access(true))]).await;
    assert_eq!(rig.store.check().await, Ok(()));
    let request = &rig.finish()[1];
    let attributes = json!({"namespace": "team", "verb": "get", "resource": "secrets"});
    assert_eq!(request.json()["spec"], json!({"resourceAttributes": attributes}));
    for answer in [access(true), status(403, "Forbidden", "")] {
        let rig = Rig::expecting([(RULES, status(403, "Forbidden", "")), (ACCESS, answer)]).await;
        assert_eq!(rig.store.check().await, Ok(()));
        rig.finish();
    }
}

#[tokio::test]
async fn a_login_that_may_not_read_is_denied() {
    let rig = Rig::expecting([(RULES, rules(&json!([]))), (ACCESS, access(false))]).await;
    let error = rig.store.check().await.expect_err("denied");
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    let words = "may not get Secrets in namespace team; bind it to a Role in team that allows `get` on `secrets`";
    assert!(error.message.contains(words) && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn trouble_of_the_server_is_not_a_denial() {
    for (reply, kind) in [
        (status(500, "InternalError", ""), ErrorKind::Unavailable),
        (status(401, "Unauthorized", ""), ErrorKind::Unauthenticated),
        (Reply::text(404, "404 page not found\n"), ErrorKind::InvalidConfig),
        (Reply::text(201, "{}"), ErrorKind::Malformed),
    ] {
        let rig = Rig::expecting([(RULES, reply)]).await;
        assert_eq!(rig.store.check().await.map_err(|error| error.kind), Err(kind));
    }
}
