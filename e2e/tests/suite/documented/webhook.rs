//! `docs/backends/webhook.md`, with a server like those that somebody writes.

use anyhow::{Context, Result};
use keyferry_fakes::faults::Fault;
use keyferry_fakes::webhook::{Domain, WebhookTarget};
use serde_json::{Value, json};

use super::Stage;
use super::canned::always;
use crate::support::{Manifest, credential, external_secret, secret_store};

/// The address that the page names.
const SERVER: &str = "https://inventory.example.com";

const VALUE: &str = "as documented";

pub(super) async fn tries_all() -> Result<()> {
    let target = WebhookTarget::start().context("failed to start the server")?;
    let mut stage = Stage::open("webhook.md", |operator| operator).await?;
    fill(&target);
    logins(&mut stage, &target).await?;
    references(&mut stage).await?;
    of_answers(&mut stage, &target).await?;
    of_settings(&mut stage, &target).await?;
    with_ntlm(&mut stage, &target).await?;
    stage.close()
}

fn fill(target: &WebhookTarget) {
    target.put("prod/db", json!({ "password": "first" }));
    target.put("prod/db", json!({ "password": VALUE }));
    target.put("prod/token", VALUE);
    target.put("prod/mail", json!({ "host": "mail", "port": 587 }));
}

async fn logins(stage: &mut Stage, target: &WebhookTarget) -> Result<()> {
    let read = |es: Manifest| es.key("token", "prod/token");
    for (heading, key) in [("User name and password", "password"), ("A body", "token"), ("A token", "token")] {
        target.set_token(&stage.value(heading, &format!("/stringData/{key}"))?);
        stage.works(heading, &[(SERVER, target.url())], read, &[("token", VALUE)]).await?;
    }
    Ok(())
}

/// The store of the section on tokens still works.
async fn references(stage: &mut Stage) -> Result<()> {
    let expected = [("first-password", "first"), ("host", "mail"), ("password", VALUE), ("port", "587")];
    stage.syncs("What a reference means", &expected).await
}

async fn of_answers(stage: &mut Stage, target: &WebhookTarget) -> Result<()> {
    let read = |key: &'static str| move |es: Manifest| es.key("value", key);
    target.put("prod/foreign", VALUE);
    target.deny("prod/foreign");
    stage.reader_says("the server does not know the key", "inventory", read("prod/nothing")).await?;
    stage.reader_says("the login may not use the key", "inventory", read("prod/foreign")).await?;
    stage.reader_says("the url that comes out must not have a path segment", "inventory", read("..")).await?;
    let find = json!({ "find": { "name": { "regexp": "." } } });
    stage.reader_says("this backend cannot find secrets", "inventory", |es| es.add("dataFrom", find)).await?;
    let metadata = json!({ "secretKey": "value", "remoteRef": { "key": "prod/db", "metadataPolicy": "Fetch" } });
    stage.reader_says("a webhook has no metadata", "inventory", |es| es.add("data", metadata)).await?;

    let answers = [
        ("nothing", 200, r#"{"other": "x"}"#, "the answer about the key … has nothing at result.jsonPath"),
        ("no-json", 200, "plain text", "the answer about the key … is not JSON"),
        ("page", 200, "<!doctype html><title>Log in</title>", "the answer about the key … is a web page"),
        ("moved", 302, "", "the server redirects the key"),
        ("ended", 401, "{}", "the login was not accepted for the key"),
    ];
    for (name, status, body, error) in answers {
        let server = always(status, body).await?;
        let provider = json!({ "webhook": { "url": server.url(), "result": { "jsonPath": "$.value" } } });
        stage.tenant.apply(&secret_store(name, provider)).await?;
        stage.reader_says(error, name, read("prod/db")).await?;
    }

    target.faults().set("raw", Fault::Delay { millis: 60_000 });
    let url = format!("{}/v1/raw/{{{{ .remoteRef.key }}}}", target.url());
    let hurried = json!({ "webhook": { "url": url, "timeout": "50ms", "result": {} } });
    stage.tenant.apply(&secret_store("hurried", hurried)).await?;
    stage.reader_says("the server did not answer within", "hurried", read("prod/db")).await
}

async fn of_settings(stage: &mut Stage, target: &WebhookTarget) -> Result<()> {
    stage.tenant.apply(&credential("unlabelled", &[("token", "any")])).await?;
    let spaces = credential("spaces", &[("host", "two words")]).label("external-secrets.io/type", "webhook");
    stage.tenant.apply(&spaces).await?;
    let provider = |url: &str, header: &str, secret: &str| -> Value {
        let secrets = json!([{ "name": "auth", "secretRef": { "name": secret } }]);
        let headers = json!({ "Authorization": header });
        json!({ "webhook": { "url": url, "headers": headers, "result": {}, "secrets": secrets } })
    };
    let with_header = |header: &str| provider(target.url(), header, "inventory");
    let unlabelled = provider(target.url(), "{{ .auth.token }}", "unlabelled");
    stage.store_says("which lacks the label", "unlabelled", unlabelled).await?;
    stage.store_says("the template in … names", "mistyped", with_header("{{ .auth.tokn }}")).await?;
    stage.store_says("the template in … is not a Go template", "broken", with_header("{{ .auth.token")).await?;
    stage.store_says("calls the function", "function", with_header("{{ env \"HOME\" }}")).await?;
    stage.tenant.apply(&secret_store("hostless", provider("https://{{ .auth.host }}/", "none", "spaces"))).await?;
    let read = |es: Manifest| es.key("value", "prod/db");
    stage.reader_says("the url that comes out is not a URL with a host", "hostless", read).await
}

async fn with_ntlm(stage: &mut Stage, target: &WebhookTarget) -> Result<()> {
    const LABEL: (&str, &str) = ("external-secrets.io/type", "webhook");
    let heading = "NTLM";
    let username = stage.value(heading, "/stringData/username")?;
    let (_, user) = username.split_once('\\').context("the page's user has no domain")?;
    let read = |es: Manifest| es.key("token", "prod/token");
    target.faults().clear_all();
    target.set_domain(Domain::with_account(user, &stage.value(heading, "/stringData/password")?));
    stage.works(heading, &[(SERVER, target.url())], read, &[("token", VALUE)]).await?;

    target.set_domain(Domain::with_account(user, "another"));
    stage.tenant.apply(&read(external_secret("rotated").store("inventory"))).await?;
    stage.says("the login of spec.provider.webhook.auth.ntlm was not accepted", "ExternalSecret", "rotated").await?;
    let login = credential("inventory", &[("username", &username), ("password", "another")]);
    stage.tenant.apply(&login.label(LABEL.0, LABEL.1)).await?;
    stage.tenant.holds("rotated", &[("token", VALUE)]).await?;

    let nobody = credential("nobody", &[("username", "CORP\\"), ("password", "any")]).label(LABEL.0, LABEL.1);
    stage.tenant.apply(&nobody).await?;
    let provider = |url: &str, secret: &str, password: &str| {
        let (username, password) =
            (json!({ "name": secret, "key": "username" }), json!({ "name": secret, "key": password }));
        let auth = json!({ "ntlm": { "usernameSecret": username, "passwordSecret": password } });
        json!({ "webhook": { "url": url, "result": {}, "auth": auth } })
    };
    let field = "spec.provider.webhook.auth.ntlm";
    let nameless = provider(target.url(), "nobody", "password");
    stage.store_says(&format!("{field}.usernameSecret holds no user name"), "nameless", nameless).await?;
    let keyless = provider(target.url(), "inventory", "passwort");
    stage.store_says(&format!("{field}.passwordSecret"), "keyless", keyless).await?;
    let server = always(401, "{}").await?;
    stage.tenant.apply(&secret_store("other-login", provider(server.url(), "inventory", "password"))).await?;
    stage.reader_says("the server asks for a login", "other-login", read).await
}
