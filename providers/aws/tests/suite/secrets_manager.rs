//! Secrets Manager.

use std::{collections::BTreeMap, sync::Arc};

use keyferry_aws::Service;
use keyferry_core::{ErrorKind, Provider, Query, RemoteName};
use keyferry_testkit::{Reply, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixtures::{World, latest, ok, refuse, short, tags, version};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:";

fn entry(id: &str) -> Value {
    json!({"ARN": format!("{ARN}{id}-AbCdEf"), "Name": id, "SecretString": format!("value of {id}"), "VersionId": "v1"})
}

fn ids(request: &Request) -> Vec<String> {
    serde_json::from_value(request.json()["SecretIdList"].clone()).expect("a list of names")
}

/// Knows every secret, and answers batches backwards.
fn everything(operation: &str, request: &Request) -> Reply {
    match operation {
        "BatchGetSecretValue" => {
            let values: Vec<_> = ids(request).iter().rev().map(|id| entry(id)).collect();
            ok(&json!({"SecretValues": values, "Errors": []}))
        }
        "GetSecretValue" => ok(&entry(request.json()["SecretId"].as_str().expect("a name"))),
        other => Reply::text(500, other.to_owned()),
    }
}

async fn world(answer: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static) -> World {
    World::new(Service::SecretsManager, answer).await
}

fn count(world: &World, operation: &str) -> usize {
    world.counts().get(operation).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_hundred_secrets_cost_five_calls() {
    let world = world(everything).await;
    let at: Vec<_> = (0..100).map(|index| latest(&format!("team/{index}"))).collect();
    let answers = world.fetch(&at).await;
    for (locator, answer) in at.iter().zip(&answers) {
        let fetched = answer.as_ref().expect("a value");
        assert_eq!(fetched.value.expose_str(), Some(&*format!("value of {}", locator.name)));
        assert_eq!(fetched.version.as_ref().map(ToString::to_string).as_deref(), Some("v1"));
    }
    assert_eq!(world.counts(), BTreeMap::from([("BatchGetSecretValue".to_owned(), 5)]));
    assert_eq!(world.heard.outcomes(), [("BatchGetSecretValue", Ok(())); 5]);
}

#[tokio::test]
async fn what_is_asked_twice_is_read_once_and_answered_twice() {
    let world = world(everything).await;
    let answers = world.fetch(&[latest("a"), version("a", "AWSCURRENT"), latest("a")]).await;
    assert_eq!(short(&answers), [Ok("value of a"); 3]);
    assert_eq!(world.counts(), BTreeMap::from([("GetSecretValue".to_owned(), 1)]));
}

#[tokio::test]
async fn each_item_of_a_batch_has_its_own_fate() {
    let world = world(|operation, request| match operation {
        "BatchGetSecretValue" => {
            assert_eq!(ids(request), ["denied", "failing", "good", "marked", "missing"]);
            let error = |id: &str, code: &str, text: &str| json!({"SecretId": id, "ErrorCode": code, "Message": text});
            ok(&json!({"SecretValues": [entry("good")], "Errors": [
                error("missing", "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
                error("denied", "AccessDeniedException", "not authorized to perform: kms:Decrypt on resource: hunter2"),
                error("marked", "InvalidRequestException", "… because it was marked for deletion."),
                error("failing", "InternalServiceError", "hunter2"),
            ]}))
        }
        other => Reply::text(500, other.to_owned()),
    })
    .await;
    let answers = world.fetch(&["missing", "good", "denied", "marked", "failing"].map(latest)).await;
    assert_eq!(
        short(&answers),
        [
            Err(ErrorKind::NotFound),
            Ok("value of good"),
            Err(ErrorKind::AccessDenied),
            Err(ErrorKind::NotFound),
            Err(ErrorKind::Unavailable),
        ]
    );
    let texts = answers.iter().filter_map(|answer| answer.as_ref().err()).map(ToString::to_string).collect::<String>();
    assert!(texts.contains("secret marked is marked for deletion") && texts.contains("kms:Decrypt"), "{texts}");
    assert!(!texts.contains("hunter2"), "{texts}");
    assert_eq!(world.counts(), BTreeMap::from([("BatchGetSecretValue".to_owned(), 1)]));
}

#[tokio::test]
async fn what_a_batch_is_silent_about_is_asked_for_alone() {
    let world = world(|operation, request| match operation {
        "BatchGetSecretValue" => ok(&json!({"SecretValues": [entry("a"), {"Name": "b", "ARN": "arn:b"}]})),
        _ if request.json()["SecretId"] == "c" => refuse("ResourceNotFoundException", ""),
        _ => ok(&entry("b")),
    })
    .await;
    let answers = world.fetch(&["a", "b", "c"].map(latest)).await;
    assert_eq!(short(&answers), [Ok("value of a"), Ok("value of b"), Err(ErrorKind::NotFound)]);
    assert_eq!(count(&world, "GetSecretValue"), 2);
}

#[tokio::test]
async fn a_batch_that_is_not_allowed_is_not_tried_again_soon() {
    for code in ["AccessDeniedException", "UnknownOperationException"] {
        let world = world(move |operation, request| match operation {
            "BatchGetSecretValue" => refuse(code, "not authorized to perform: secretsmanager:BatchGetSecretValue"),
            _ => everything(operation, request),
        })
        .await;
        for _ in 0..2 {
            assert_eq!(short(&world.fetch(&["a", "b"].map(latest)).await), [Ok("value of a"), Ok("value of b")]);
        }
        assert_eq!((count(&world, "BatchGetSecretValue"), count(&world, "GetSecretValue")), (1, 4), "{code}");
    }
}

#[tokio::test]
async fn one_secret_that_spoils_the_batch_does_not_spoil_the_others() {
    let world = world(|operation, request| match operation {
        "BatchGetSecretValue" => refuse("InvalidParameterException", "hunter2"),
        _ if request.json()["SecretId"] == "bad" => refuse("InvalidParameterException", "hunter2"),
        _ => everything(operation, request),
    })
    .await;
    let at = ["good", "bad", "not a name"].map(latest);
    let expected = [Ok("value of good"), Err(ErrorKind::InvalidConfig), Ok("value of not a name")];
    assert_eq!(short(&world.fetch(&at).await), expected);
    assert_eq!(ids(&world.sent("BatchGetSecretValue")[0]), ["bad", "good"]);
    assert_eq!(short(&world.fetch(&at).await), expected);
    assert_eq!(count(&world, "BatchGetSecretValue"), 2);
}

#[tokio::test]
async fn a_batch_that_fails_for_a_while_fails_for_all_without_further_calls() {
    let world = world(|_, _| refuse("ThrottlingException", "Rate exceeded")).await;
    let answers = world.fetch(&["a", "b"].map(latest)).await;
    assert_eq!(short(&answers), [Err(ErrorKind::Throttled), Err(ErrorKind::Throttled)]);
    assert_eq!(world.heard.outcomes(), [("BatchGetSecretValue", Err(ErrorKind::Throttled))]);
}

#[tokio::test]
async fn a_long_batch_is_read_to_its_end() {
    let world = world(|_, request| match request.json()["NextToken"].as_str() {
        None => ok(&json!({"SecretValues": [entry("a")], "NextToken": "more"})),
        Some(token) => {
            assert_eq!((token, ids(request).len()), ("more", 2));
            ok(&json!({"SecretValues": [entry("b")]}))
        }
    })
    .await;
    assert_eq!(short(&world.fetch(&["a", "b"].map(latest)).await), [Ok("value of a"), Ok("value of b")]);
}

#[tokio::test]
async fn a_secret_answers_to_its_name_its_arn_and_its_arn_without_suffix() {
    let world = world(|operation, _| match operation {
        "BatchGetSecretValue" => ok(&json!({"SecretValues": [entry("a")]})),
        other => Reply::text(500, other.to_owned()),
    })
    .await;
    let answers = world.fetch(&["a", &format!("{ARN}a-AbCdEf"), &format!("{ARN}a")].map(latest)).await;
    assert_eq!(short(&answers), [Ok("value of a"); 3]);
}

#[tokio::test]
async fn what_a_batch_refuses_by_its_arn_may_be_of_another_account_and_is_asked_for_alone() {
    let [shared, gone] = ["shared", "gone"].map(|name| format!("{ARN}{name}-AbCdEf"));
    let world = {
        let (shared, gone) = (shared.clone(), gone.clone());
        world(move |operation, request| match operation {
            "BatchGetSecretValue" => ok(&json!({"SecretValues": [entry("a")], "Errors": [
                {"SecretId": shared, "ErrorCode": "AccessDeniedException"},
                {"SecretId": gone, "ErrorCode": "ResourceNotFoundException"},
                {"SecretId": "denied", "ErrorCode": "AccessDeniedException"},
            ]})),
            _ if request.json()["SecretId"] == json!(gone) => refuse("ResourceNotFoundException", ""),
            _ => ok(&entry("shared")),
        })
        .await
    };
    let answers = world.fetch(&["a", &shared, &gone, "denied"].map(latest)).await;
    let expected = [Ok("value of a"), Ok("value of shared"), Err(ErrorKind::NotFound), Err(ErrorKind::AccessDenied)];
    assert_eq!(short(&answers), expected);
    assert_eq!(count(&world, "GetSecretValue"), 2);
}

#[tokio::test]
async fn versions_are_stages_or_ids() {
    let world = world(everything).await;
    let at = [version("a", "AWSPREVIOUS"), version("a", "uuid/7f0e"), version("a", "uuid/"), latest("a")];
    let answers = world.fetch(&at).await;
    let value = Ok("value of a");
    assert_eq!(short(&answers), [value, value, Err(ErrorKind::InvalidConfig), value]);
    let mut sent: Vec<_> = world.sent("GetSecretValue").iter().map(Request::text).collect();
    sent.sort();
    assert_eq!(
        sent,
        [
            r#"{"SecretId":"a","VersionId":"7f0e"}"#,
            r#"{"SecretId":"a","VersionStage":"AWSPREVIOUS"}"#,
            r#"{"SecretId":"a"}"#,
        ]
    );
}

#[tokio::test]
async fn a_version_that_is_not_there_is_named() {
    let world = world(|_, _| refuse("ResourceNotFoundException", "hunter2")).await;
    let error = world.fetch_one(version("a", "old")).await.expect_err("no such version");
    let text = "there is no version old of secret a (AWS/SecretsManager GetSecretValue: HTTP 400, request 5f1e-77)";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_binary_secret_keeps_its_bytes() {
    let world = world(|operation, _| {
        let binary = json!({"ARN": "arn:a", "Name": "a", "SecretBinary": "AP8K", "VersionId": "1"});
        match operation {
            "GetSecretValue" => ok(&binary),
            _ => ok(&json!({"SecretValues": [binary, entry("b")]})),
        }
    })
    .await;
    let alone = world.fetch_one(latest("a")).await.expect("a value");
    assert_eq!(alone.value.expose(), [0, 255, 10]);
    let together = world.fetch(&["a", "b"].map(latest)).await;
    assert_eq!(together[0].as_ref().map(Arc::clone), Ok(alone));
}

#[tokio::test]
async fn an_answer_without_a_value_is_no_empty_value() {
    let world = world(|_, _| ok(&json!({}))).await;
    let answers = world.fetch(&[latest("a"), latest("b"), tags("a")]).await;
    assert_eq!(short(&answers), [Err(ErrorKind::Malformed); 3]);
    assert_eq!(
        world.aws.list(&Query::default(), Instant::now()).await.expect_err("no list").kind,
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn metadata_are_the_tags() {
    let world = world(|operation, request| {
        assert_eq!(operation, "DescribeSecret");
        let deleted = if request.json()["SecretId"] == "gone" { json!(1_700_000_000) } else { Value::Null };
        let tags = json!([{"Key": "stage", "Value": "prod"}, {"Key": "a", "Value": "<1>"}]);
        ok(&json!({"ARN": "arn:a", "Name": "a", "Tags": tags, "DeletedDate": deleted}))
    })
    .await;
    let answers = world.fetch(&[tags("a"), tags("gone")]).await;
    assert_eq!(short(&answers), [Ok(r#"{"a":"\u003c1\u003e","stage":"prod"}"#), Err(ErrorKind::NotFound)]);
}

#[tokio::test]
async fn the_prefix_stands_before_what_users_write_only() {
    let world = World::with(
        Service::SecretsManager,
        |config| config.prefix = "team/".into(),
        |operation, request| match operation {
            "ListSecrets" => ok(&json!({"SecretList": [{"Name": "other/db"}, {"Name": "team/db"}]})),
            _ => everything(operation, request),
        },
    )
    .await;
    let mut at = vec![latest("db"), latest(&format!("{ARN}db-AbCdEf"))];
    let page = world.aws.list(&Query::default(), Instant::now()).await.expect("a list");
    at.extend(page.items.iter().map(|item| keyferry_core::Locator::latest(item.name.clone())));
    world.fetch(&at).await;
    let arn = format!("{ARN}db-AbCdEf");
    assert_eq!(ids(&world.sent("BatchGetSecretValue")[0]), [arn.as_str(), "other/db", "team/db"]);
}

#[tokio::test]
async fn a_listing_goes_on_where_it_stopped_and_is_narrowed_exactly() {
    let world = world(|_, request| {
        let sent = request.json();
        assert_eq!(
            sent["Filters"],
            json!([
                {"Key": "name", "Values": ["team/"]},
                {"Key": "tag-key", "Values": ["stage"]},
                {"Key": "tag-value", "Values": ["prod"]},
            ])
        );
        let entry = |name: &str, stage: &str| json!({"Name": name, "Tags": [{"Key": "stage", "Value": stage}]});
        match sent["NextToken"].as_str() {
            None => {
                ok(&json!({"SecretList": [entry("team/a", "prod"), entry("team/b", "production")], "NextToken": "2"}))
            }
            Some(_) => ok(&json!({"SecretList": [entry("Team/c", "prod"), entry("team/d", "prod"),
                {"Name": "team/e", "Tags": [{"Key": "stage", "Value": "prod"}], "DeletedDate": 1_700_000_000}]})),
        }
    })
    .await;
    let tags = BTreeMap::from([("stage".to_owned(), "prod".to_owned())]);
    let mut query = Query { path: Some("team/".into()), tags: tags.clone(), after: None };
    let first = world.aws.list(&query, Instant::now()).await.expect("a page");
    assert_eq!(first.items.len(), 1);
    assert_eq!((&first.items[0].name, &first.items[0].tags), (&RemoteName::new("team/a").expect("a name"), &tags));
    query.after = first.next.clone();
    let second = world.aws.list(&query, Instant::now()).await.expect("a page");
    assert_eq!(second.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["team/d"]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_listing_that_is_denied_names_the_permission() {
    let world = world(|_, _| refuse("AccessDeniedException", "")).await;
    let error = world.aws.list(&Query::default(), Instant::now()).await.expect_err("denied");
    let text = "AWS denies the list of secrets (AccessDeniedException); allow secretsmanager:ListSecrets to the login";
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::AccessDenied, text));
}
