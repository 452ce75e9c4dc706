//! The errors that the page tells.

use anyhow::Result;
use keyferry_e2e::harness::{AWS_ACCOUNT, Fault, Moto, Relay};
use serde_json::{Value, json};

use super::Stage;
use crate::support::{Manifest, secret_store};

/// How STS answers.
const XML: &[&str] = &["Content-Type: text/xml"];

/// Provokes errors. The store `aws` is that of the operator's own identity.
pub(super) async fn provoke(stage: &mut Stage, moto: &Moto, relay: &Relay) -> Result<()> {
    of_secrets(stage, moto).await?;
    of_service_accounts(stage, relay).await?;
    of_logins(stage, relay).await?;
    of_refusals(stage, relay).await
}

fn read(key: &str) -> impl FnOnce(Manifest) -> Manifest {
    move |es| es.key("value", key)
}

async fn of_secrets(stage: &mut Stage, moto: &Moto) -> Result<()> {
    let create = json!({ "Name": "team/old", "SecretString": "x", "ClientRequestToken": super::TOKEN });
    moto.secrets_manager(AWS_ACCOUNT, "CreateSecret", &create).await?;
    moto.secrets_manager(AWS_ACCOUNT, "DeleteSecret", &json!({ "SecretId": "team/old" })).await?;
    stage.reader_says("there is no secret", "aws", read("team/nothing")).await?;
    stage.reader_says("secret … is marked for deletion", "aws", read("team/old")).await?;
    stage.tenant.apply(&secret_store("parameters", aws("ParameterStore", &json!({})))).await?;
    stage.reader_says("there is no parameter", "parameters", read("/team/nothing")).await
}

async fn of_service_accounts(stage: &mut Stage, relay: &Relay) -> Result<()> {
    let account = |name: &str| json!({ "auth": { "jwt": { "serviceAccountRef": { "name": name } } } });
    let without_role = aws("SecretsManager", &account("keyferry"));
    stage.store_says("the ServiceAccount has no annotation", "without-role", without_role).await?;
    let body = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>";
    relay.fail(Fault::Answer { status: 400, headers: XML, body });
    let unknown = aws("SecretsManager", &account("secrets-reader"));
    stage.store_says("AWS refuses role … (InvalidIdentityToken)", "unknown-issuer", unknown).await?;
    relay.recover();
    Ok(())
}

/// Moto's own refusals have not the shape of AWS's.
async fn of_logins(stage: &mut Stage, relay: &Relay) -> Result<()> {
    let refusals = [
        (
            "AWS does not know the login",
            "unknown-key",
            "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
        ),
        (
            "AWS does not accept the signature",
            "wrong-key",
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>",
        ),
        (
            "the time of the operator's node is not AWS's",
            "wrong-clock",
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 20260101T000000Z is now \
             earlier than 20260101T001000Z</Message></Error></ErrorResponse>",
        ),
    ];
    for (error, name, body) in refusals {
        relay.fail(Fault::Answer { status: 403, headers: XML, body });
        stage.store_says(error, name, aws("SecretsManager", &json!({}))).await?;
    }
    let body = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>";
    relay.fail(Fault::Answer { status: 403, headers: XML, body });
    let role = json!({ "role": "arn:aws:iam::123456789012:role/closed" });
    stage.store_says("AWS refuses role … (AccessDenied)", "closed-role", aws("SecretsManager", &role)).await?;
    relay.recover();
    Ok(())
}

/// What moto never says.
async fn of_refusals(stage: &mut Stage, relay: &Relay) -> Result<()> {
    let answers = [
        ("AWS denies secret", r#"{"__type": "AccessDeniedException", "Message": "no"}"#),
        (
            "AWS denies … allow kms:Decrypt",
            r#"{"__type": "AccessDeniedException", "Message": "not authorized to perform: kms:Decrypt on resource: x"}"#,
        ),
        ("AWS does not accept the request for", r#"{"__type": "InvalidParameterException", "Message": "no"}"#),
        ("AWS asks to slow down", r#"{"__type": "ThrottlingException", "Message": "no"}"#),
    ];
    for (number, (error, body)) in answers.into_iter().enumerate() {
        relay.fail(Fault::Answer { status: 400, headers: &["Content-Type: application/x-amz-json-1.1"], body });
        stage.reader_says(error, "aws", read(&format!("team/other-{number}"))).await?;
    }
    of_others(stage, relay).await?;
    relay.fail(Fault::Down);
    stage.store_says("AWS cannot be reached", "lost", aws("SecretsManager", &json!({}))).await?;
    relay.recover();
    Ok(())
}

/// What proxies and load balancers say.
async fn of_others(stage: &mut Stage, relay: &Relay) -> Result<()> {
    let answers = [
        ("something on the way to AWS denies", 403, "parameters"),
        ("the server did not answer about … as AWS does", 404, "aws"),
        ("AWS, or what stands before it, failed on", 503, "parameters"),
    ];
    for (error, status, store) in answers {
        relay.fail(Fault::Answer { status, headers: &["Content-Type: text/html"], body: "<html>blocked</html>" });
        stage.reader_says(error, store, read(&format!("/team/{status}"))).await?;
    }
    Ok(())
}

/// A provider with more fields than those that every store has.
pub(super) fn aws(service: &str, fields: &Value) -> Value {
    let mut provider = json!({ "service": service, "region": "eu-west-1" });
    for (name, value) in fields.as_object().into_iter().flatten() {
        provider[name.as_str()] = value.clone();
    }
    json!({ "aws": provider })
}
