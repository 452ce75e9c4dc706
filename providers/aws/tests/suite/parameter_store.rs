//! Parameter Store.

use std::collections::BTreeMap;

use keyferry_aws::Service;
use keyferry_core::{ErrorKind, Provider, Query};
use keyferry_testkit::{Reply, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixtures::{World, latest, ok, refuse, short, tags, version};

fn parameter(asked: &str) -> Value {
    let (name, selector) = asked.split_once(':').map_or((asked, None), |(name, version)| (name, Some(version)));
    let arn = format!("arn:aws:ssm:eu-west-1:123456789012:parameter/{}", name.trim_start_matches('/'));
    let number = selector.and_then(|version| version.parse().ok()).unwrap_or(7);
    let selector = selector.map(|version| format!(":{version}"));
    json!({"Name": name, "ARN": arn, "Type": "SecureString", "Value": format!("value of {asked}"), "Version": number,
           "Selector": selector})
}

fn names(request: &Request) -> Vec<String> {
    serde_json::from_value(request.json()["Names"].clone()).expect("a list of names")
}

fn name(request: &Request) -> String {
    request.json()["Name"].as_str().expect("a name").to_owned()
}

/// Knows every parameter, and answers batches backwards.
fn everything(operation: &str, request: &Request) -> Reply {
    match operation {
        "GetParameters" => {
            let parameters: Vec<_> = names(request).iter().rev().map(|name| parameter(name)).collect();
            ok(&json!({"Parameters": parameters, "InvalidParameters": []}))
        }
        "GetParameter" => ok(&json!({"Parameter": parameter(&name(request))})),
        other => Reply::text(500, other.to_owned()),
    }
}

async fn world(answer: impl Fn(&str, &Request) -> Reply + Send + Sync + 'static) -> World {
    World::new(Service::ParameterStore, answer).await
}

fn counts(world: &World) -> (usize, usize) {
    let counts = world.counts();
    let count = |operation: &str| counts.get(operation).copied().unwrap_or_default();
    (count("GetParameters"), count("GetParameter"))
}

#[tokio::test]
async fn a_hundred_parameters_cost_ten_calls() {
    let world = world(everything).await;
    let at: Vec<_> = (0..100).map(|index| latest(&format!("/team/{index}"))).collect();
    let answers = world.fetch(&at).await;
    for (locator, answer) in at.iter().zip(&answers) {
        let fetched = answer.as_ref().expect("a value");
        assert_eq!(fetched.value.expose_str(), Some(&*format!("value of {}", locator.name)));
        assert_eq!(fetched.version.as_ref().map(ToString::to_string).as_deref(), Some("7"));
    }
    assert_eq!(world.counts(), BTreeMap::from([("GetParameters".to_owned(), 10)]));
    assert!(world.sent("GetParameters").iter().all(|request| request.json()["WithDecryption"] == json!(true)));
}

#[tokio::test]
async fn one_parameter_alone_costs_one_plain_call() {
    let world = world(everything).await;
    assert_eq!(short(&[world.fetch_one(version("/a", "3")).await]), [Ok("value of /a:3")]);
    assert_eq!(world.sent("GetParameter")[0].json(), json!({"Name": "/a:3", "WithDecryption": true}));
}

#[tokio::test]
async fn versions_and_labels_are_told_apart() {
    let world = world(everything).await;
    let at = [latest("/a"), version("/a", "3"), version("/a", "prod"), latest("/b"), latest("/a:3")];
    let value = ["value of /a", "value of /a:3", "value of /a:prod", "value of /b", "value of /a:3"].map(Ok);
    assert_eq!(short(&world.fetch(&at).await), value);
    // No call asks twice for one parameter, and what is left over alone needs no batch.
    assert_eq!(counts(&world), (1, 2));
}

#[tokio::test]
async fn a_parameter_answers_to_its_arn() {
    let world = world(|operation, request| match operation {
        "GetParameters" => ok(&json!({"Parameters": [parameter("/b"), parameter("/a")]})),
        _ => everything(operation, request),
    })
    .await;
    let answers = world.fetch(&["arn:aws:ssm:eu-west-1:123456789012:parameter/a", "/b"].map(latest)).await;
    assert_eq!(short(&answers), [Ok("value of /a"), Ok("value of /b")]);
    assert_eq!(counts(&world), (1, 0));
}

#[tokio::test]
async fn a_missing_parameter_is_missing_alone() {
    let world = world(|_, request| {
        let missing = |name: &&String| name.starts_with("/gone");
        let there: Vec<_> = names(request).iter().filter(|name| !missing(name)).map(|name| parameter(name)).collect();
        ok(&json!({"Parameters": there, "InvalidParameters": names(request).iter().filter(missing).collect::<Vec<_>>()}))
    })
    .await;
    let answers = world.fetch(&[latest("/a"), latest("/gone"), version("/gone2", "9")]).await;
    assert_eq!(short(&answers), [Ok("value of /a"), Err(ErrorKind::NotFound), Err(ErrorKind::NotFound)]);
    let text = answers[2].as_ref().expect_err("missing").message.clone();
    assert_eq!(text, "there is no parameter /gone2:9");
}

#[tokio::test]
async fn what_a_batch_is_silent_about_is_asked_for_alone() {
    let world = world(|operation, request| match operation {
        "GetParameters" => ok(&json!({})),
        _ if name(request) == "/gone" => refuse("ParameterNotFound", ""),
        _ if name(request) == "/old:9" => refuse("ParameterVersionNotFound", ""),
        _ => everything(operation, request),
    })
    .await;
    let answers = world.fetch(&[latest("/a"), latest("/gone"), version("/old", "9")]).await;
    assert_eq!(short(&answers), [Ok("value of /a"), Err(ErrorKind::NotFound), Err(ErrorKind::NotFound)]);
}

#[tokio::test]
async fn a_batch_that_is_not_allowed_is_not_tried_again_soon() {
    let world = world(|operation, request| match operation {
        "GetParameters" => refuse("AccessDeniedException", "not authorized to perform: ssm:GetParameters"),
        _ => everything(operation, request),
    })
    .await;
    for _ in 0..2 {
        assert_eq!(short(&world.fetch(&["/a", "/b"].map(latest)).await), [Ok("value of /a"), Ok("value of /b")]);
    }
    assert_eq!(counts(&world), (1, 4));
}

#[tokio::test]
async fn one_forbidden_parameter_leaves_the_others_their_batch() {
    let world = world(|operation, request| {
        let forbidden = match operation {
            "GetParameters" => names(request).iter().any(|name| name == "/no"),
            _ => name(request) == "/no",
        };
        if forbidden { refuse("AccessDeniedException", "") } else { everything(operation, request) }
    })
    .await;
    let at = ["/a", "/no", "/b"].map(latest);
    let expected = [Ok("value of /a"), Err(ErrorKind::AccessDenied), Ok("value of /b")];
    assert_eq!(short(&world.fetch(&at).await), expected);
    // The batch, each alone, and the forbidden one by the other permission.
    assert_eq!(counts(&world), (2, 3));
    assert_eq!(short(&world.fetch(&at).await), expected);
    assert_eq!(counts(&world), (4, 4));
}

#[tokio::test]
async fn a_login_that_may_only_read_batches_still_reads_what_it_may() {
    let world = world(|operation, request| match operation {
        "GetParameter" => refuse("AccessDeniedException", ""),
        _ if names(request).iter().any(|name| name == "/no") => refuse("AccessDeniedException", ""),
        _ => everything(operation, request),
    })
    .await;
    let answers = world.fetch(&["/a", "/no"].map(latest)).await;
    assert_eq!(short(&answers), [Ok("value of /a"), Err(ErrorKind::AccessDenied)]);
    let text = answers[1].as_ref().expect_err("denied").message.clone();
    assert_eq!(text, "AWS denies parameter /no (AccessDeniedException); allow ssm:GetParameter to the login");
}

#[tokio::test]
async fn a_name_that_spoils_the_batch_does_not_spoil_the_others() {
    let world = world(|operation, request| match operation {
        "GetParameters" => refuse("ValidationException", "hunter2"),
        _ if name(request) == "/b ad" => refuse("ValidationException", "hunter2"),
        _ => everything(operation, request),
    })
    .await;
    let answers = world.fetch(&["/a", "/b ad"].map(latest)).await;
    assert_eq!(short(&answers), [Ok("value of /a"), Err(ErrorKind::InvalidConfig)]);
    assert!(!format!("{answers:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_batch_that_fails_for_a_while_fails_for_all_without_further_calls() {
    let world = world(|_, _| refuse("InternalServerError", "")).await;
    assert_eq!(short(&world.fetch(&["/a", "/b"].map(latest)).await), [Err(ErrorKind::Unavailable); 2]);
    assert_eq!(counts(&world), (1, 0));
}

#[tokio::test]
async fn metadata_are_the_tags() {
    let world = world(|operation, request| {
        assert_eq!(operation, "ListTagsForResource");
        match request.json()["ResourceId"].as_str() {
            Some("/a") => ok(&json!({"TagList": [{"Key": "stage", "Value": "prod"}]})),
            _ => refuse("InvalidResourceId", ""),
        }
    })
    .await;
    let answers = world.fetch(&[tags("/a"), tags("/gone")]).await;
    assert_eq!(short(&answers), [Ok(r#"{"stage":"prod"}"#), Err(ErrorKind::NotFound)]);
}

#[tokio::test]
async fn an_answer_without_a_value_is_no_empty_value() {
    let world = world(|_, _| ok(&json!({}))).await;
    assert_eq!(short(&world.fetch(&[latest("/a"), latest("/b"), tags("/a")]).await), [Err(ErrorKind::Malformed); 3]);
    assert_eq!(
        world.aws.list(&Query::default(), Instant::now()).await.expect_err("no list").kind,
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn a_listing_tells_names_without_values() {
    let world = world(|operation, request| {
        assert_eq!(operation, "DescribeParameters");
        let sent = request.json();
        assert_eq!(
            sent["ParameterFilters"],
            json!([
                {"Key": "Path", "Option": "Recursive", "Values": ["/team"]},
                {"Key": "tag:stage", "Option": "Equals", "Values": ["prod"]},
            ])
        );
        match sent["NextToken"].as_str() {
            None => ok(&json!({"Parameters": [{"Name": "/team/a"}], "NextToken": "t:2"})),
            Some(token) => {
                assert_eq!(token, "t:2");
                ok(&json!({"Parameters": [{"Name": "/team/b/c"}]}))
            }
        }
    })
    .await;
    let tags = BTreeMap::from([("stage".to_owned(), "prod".to_owned())]);
    let mut query = Query { path: Some("/team".into()), tags: tags.clone(), after: None };
    let first = world.aws.list(&query, Instant::now()).await.expect("a page");
    assert_eq!((first.items[0].name.as_str(), &first.items[0].tags), ("/team/a", &tags));
    query.after = first.next.clone();
    let second = world.aws.list(&query, Instant::now()).await.expect("a page");
    assert_eq!((second.items[0].name.as_str(), &second.next), ("/team/b/c", &None));
}

#[tokio::test]
async fn a_login_that_may_not_describe_lists_by_path() {
    let world = world(|operation, request| {
        let sent = request.json();
        match (operation, sent["NextToken"].as_str()) {
            ("DescribeParameters", _) => refuse("AccessDeniedException", ""),
            (_, None) => ok(&json!({"Parameters": [parameter("/team/a")], "NextToken": "2"})),
            (_, Some(_)) => ok(&json!({"Parameters": [parameter("/team/b")]})),
        }
    })
    .await;
    let mut query = Query { path: Some("/team".into()), ..Query::default() };
    for (name, calls) in [("/team/a", 1), ("/team/b", 2)] {
        let page = world.aws.list(&query, Instant::now()).await.expect("a page");
        assert_eq!(page.items[0].name.as_str(), name);
        query.after = page.next.clone();
        assert_eq!(world.sent("GetParametersByPath").len(), calls);
    }
    world.aws.list(&query, Instant::now()).await.expect("a page");
    assert_eq!(world.sent("DescribeParameters").len(), 1, "the denial is remembered");
    let first = json!({"Path": "/team", "Recursive": true, "WithDecryption": false, "MaxResults": 10});
    assert_eq!(world.sent("GetParametersByPath")[0].json(), first);
}

#[tokio::test]
async fn only_describing_knows_tags() {
    let world = world(|_, _| refuse("AccessDeniedException", "")).await;
    let tags = BTreeMap::from([("stage".to_owned(), "prod".to_owned())]);
    for _ in 0..2 {
        let error = world
            .aws
            .list(&Query { tags: tags.clone(), ..Query::default() }, Instant::now())
            .await
            .expect_err("denied");
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(error.message.contains("allow ssm:DescribeParameters"), "{error}");
    }
    assert_eq!(world.sent("GetParametersByPath").len(), 0);
}

#[tokio::test]
async fn a_listing_does_not_go_on_at_a_place_that_is_none() {
    let world = world(|_, _| Reply::text(500, "")).await;
    let query = Query { after: Some("nowhere".into()), ..Query::default() };
    assert_eq!(world.aws.list(&query, Instant::now()).await.expect_err("no place").kind, ErrorKind::InvalidConfig);
    assert_eq!(world.counts(), BTreeMap::new());
}
