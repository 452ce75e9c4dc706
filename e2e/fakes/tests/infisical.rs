//! The fake Infisical server as a client sees it.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_fakes::{
    faults::Fault,
    infisical::{
        Absence, Contents, Expiry, Identity, Import, InfisicalServer, Method, Place, Project, Rule, Secret, Settings,
    },
    keys::Issuer,
    server::Listen,
    token_review::Review,
};
use serde_json::{Value, json};

fn place(path: &str) -> Place {
    Place::new("web", "dev", path)
}

fn server() -> InfisicalServer {
    let contents = Contents {
        identities: vec![
            Identity::universal("all", "s", "web"),
            Identity::universal("app", "s", "web")
                .allowed(vec![Rule::only("web", "/app/*"), Rule::only("web", "/A").without_values()]),
            Identity::universal("stranger", "s", "other"),
        ],
        projects: vec![Project::new("web", &["dev", "prod"]), Project::new("other", &["dev"])],
        secrets: vec![
            Secret::new(&place("/"), "A", "one").tagged(&["blue"]).described("team", "x"),
            Secret::new(&place("/app"), "A", "two"),
            Secret::new(&place("/app"), "URL", "http://${B}:${dev.A}/${NONE}"),
            Secret::new(&place("/app"), "B", "${dev.app.deep.C}"),
            Secret::new(&place("/app/deep"), "C", "three"),
            Secret::new(&Place::new("web", "prod", "/shared"), "S", "shared"),
            Secret::new(&Place::new("web", "prod", "/shared"), "A", "hidden by an own one"),
        ],
        imports: vec![
            Import { into: place("/"), from_environment: "prod".into(), from_path: "/shared/".into() },
            Import {
                into: Place::new("web", "prod", "/shared"),
                from_environment: "dev".into(),
                from_path: "/app/deep".into(),
            },
        ],
    };
    InfisicalServer::start_with(Listen::default(), Settings::default(), contents).expect("a free port")
}

async fn post(url: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(format!("{url}{path}")).json(&body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

struct Client<'a> {
    server: &'a InfisicalServer,
    token: String,
}

impl<'a> Client<'a> {
    async fn login(server: &'a InfisicalServer, client_id: &str) -> Self {
        let body = json!({"clientId": client_id, "clientSecret": "s"});
        let (status, answer) = post(server.url(), "/api/v1/auth/universal-auth/login", body).await;
        assert_eq!((status, &answer["tokenType"]), (200, &json!("Bearer")), "{answer}");
        Self { server, token: answer["accessToken"].as_str().expect("a token").to_owned() }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("{}/api/v3/secrets/raw{path}", self.server.url());
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn value(&self, path: &str) -> Value {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer["secret"]["secretValue"].clone()
    }

    async fn refused(&self, path: &str) -> (u16, String, String) {
        let (status, answer) = self.get(path).await;
        assert_eq!(answer["statusCode"], status, "{answer}");
        (status, answer["error"].as_str().unwrap_or_default().to_owned(), answer["message"].to_string())
    }
}

fn names(secrets: &Value) -> Vec<&str> {
    secrets.as_array().expect("a list").iter().filter_map(|secret| secret["secretKey"].as_str()).collect()
}

const DEV: &str = "workspaceSlug=web&environment=dev";

#[tokio::test]
async fn logins_are_checked() {
    let server = server();
    let login = async |body| post(server.url(), "/api/v1/auth/universal-auth/login", body).await.0;
    assert_eq!(login(json!({"clientId": "all", "clientSecret": "wrong"})).await, 401);
    assert_eq!(login(json!({"clientId": "none", "clientSecret": "s"})).await, 401);
    assert_eq!(login(json!({"clientId": "all"})).await, 422);
    assert_eq!(login(json!({"clientId": "all", "clientSecret": "s", "client": "x"})).await, 422);
    let good = json!({"clientId": "all", "clientSecret": "s"});
    assert_eq!(post(server.url(), "/api/v1/auth/universal-auth/login?organizationSlug=x", good).await.0, 422);
    assert_eq!(login(json!({"clientId": "all", "clientSecret": "s", "organizationSlug": "none"})).await, 404);
    let other = json!({"identityId": "all", "jwt": "x"});
    assert_eq!(post(server.url(), "/api/v1/auth/jwt-auth/login", other).await.0, 404);
    assert_eq!(post(server.url(), "/v1/auth/universal-auth/login", json!({})).await.0, 404);
    assert_eq!(
        reqwest::get(format!("{}/api/v1/auth/jwt-auth/login", server.url())).await.expect("an answer").status(),
        404
    );
}

/// Whoever checks a proof words what is wrong: the server itself, its library for tokens, or a cloud, whose refusals are
/// errors that the server does not expect.
#[tokio::test]
async fn each_proof_is_checked_by_who_checks_it() {
    let (server, issuer, stranger) = (server(), Issuer::default(), Issuer::default());
    let key = || issuer.public_pem().to_owned();
    let account = "reader@p.iam.gserviceaccount.com";
    let methods = [
        (
            "jwt",
            Method::Jwt { key: key(), issuer: Some("i".into()), subject: Some("s".into()), audience: Some("a".into()) },
        ),
        ("azure", Method::Azure { tenant_id: "t".into(), resource: "https://vault.azure.net/".into(), key: key() }),
        ("iam", Method::GcpIam { service_account: account.into(), key: key() }),
        ("gce", Method::GcpIdToken { service_account: account.into(), key: key() }),
        ("kubernetes", Method::Kubernetes { review: Review::Keys(issuer.keys()), subjects: vec!["s".into()] }),
    ];
    for (id, method) in methods {
        server.grant(Identity::new(id, method, "web"));
    }
    let good = |id: &str| match id {
        "jwt" => json!({"iss": "i", "sub": "s", "aud": "a"}),
        "azure" => json!({"iss": "https://sts.windows.net/t/", "aud": "https://vault.azure.net"}),
        "iam" => json!({"sub": account, "aud": id}),
        "gce" => json!({"iss": "https://accounts.google.com", "email": account, "aud": id, "exp": 4_000_000_000_u64}),
        _ => json!({"sub": "s"}),
    };
    let login = async |id: &str, token: &str| {
        let endpoint = if ["iam", "gce"].contains(&id) { "gcp" } else { id };
        let path = format!("/api/v1/auth/{endpoint}-auth/login");
        post(server.url(), &path, json!({"identityId": id, "jwt": token})).await.0
    };
    for (id, signature, malformed, wrong) in [
        ("jwt", 401, 401, vec![("iss", json!("x"), 403), ("sub", json!("x"), 403), ("aud", json!("x"), 401)]),
        ("azure", 403, 500, vec![("iss", json!("x"), 403), ("aud", json!("x"), 403), ("exp", json!(1), 403)]),
        ("iam", 403, 500, vec![("sub", json!("me@x"), 401), ("aud", json!("x"), 401), ("exp", json!(1), 403)]),
        (
            "gce",
            500,
            500,
            vec![
                ("iss", json!("x"), 500),
                ("email", json!("x"), 401),
                ("aud", json!("x"), 500),
                ("exp", json!(1), 500),
                ("exp", Value::Null, 500),
            ],
        ),
        ("kubernetes", 401, 401, vec![("sub", json!("x"), 401), ("exp", json!(1), 401)]),
    ] {
        assert_eq!(login(id, &issuer.sign(&good(id))).await, 200, "{id}");
        assert_eq!(login(id, &stranger.sign(&good(id))).await, signature, "{id}");
        assert_eq!(login(id, "nonsense").await, malformed, "{id}");
        for (name, value, status) in wrong {
            let mut claims = good(id);
            claims[name] = value;
            assert_eq!(login(id, &issuer.sign(&claims)).await, status, "{id} {name}");
        }
    }
}

#[tokio::test]
async fn questions_to_clouds_are_checked() {
    let server = server();
    let key = Issuer::default().public_pem().to_owned();
    let aws = Method::Aws { access_key_id: "a".into(), secret_access_key: "s".into() };
    let oci = Method::Oci { tenancy: "t".into(), user: "u".into(), fingerprint: "f".into(), key };
    server.grant(Identity::new("aws", aws, "web"));
    server.grant(Identity::new("oci", oci, "web"));
    let ask_aws = async |authorization: &str| {
        let headers = json!({"Authorization": authorization, "Host": "sts.eu-west-1.amazonaws.com"}).to_string();
        let body = json!({
            "identityId": "aws",
            "iamHttpRequestMethod": "POST",
            "iamRequestBody": STANDARD.encode("Action=GetCallerIdentity&Version=2011-06-15"),
            "iamRequestHeaders": STANDARD.encode(headers),
        });
        post(server.url(), "/api/v1/auth/aws-auth/login", body).await.0
    };
    let authorization = |region: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=a/20260101/{region}/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
        )
    };
    assert_eq!(ask_aws(&authorization("eu-west-1")).await, 500);
    assert_eq!(ask_aws(&authorization("evil.example#")).await, 400);
    assert_eq!(ask_aws("Basic").await, 400);
    let ask_oci = async |host: &str| {
        let body = json!({"identityId": "oci", "userOcid": "u", "headers": {"host": host, "authorization": ""}});
        post(server.url(), "/api/v1/auth/oci-auth/login", body).await.0
    };
    assert_eq!(ask_oci("identity.eu-frankfurt-1.oraclecloud.com").await, 500);
    assert_eq!(ask_oci("identity.evil.example").await, 400);
}

#[tokio::test]
async fn requests_have_their_form() {
    let server = server();
    let login = async |kind: &'static str, body: &'static str| {
        let url = format!("{}/api/v1/auth/universal-auth/login", server.url());
        let request = reqwest::Client::new().post(url).header("content-type", kind).body(body);
        request.send().await.expect("an answer").status().as_u16()
    };
    let good = r#"{"clientId": "all", "clientSecret": "s"}"#;
    assert_eq!(login("application/json; charset=utf-8", good).await, 200);
    assert_eq!(login("application/x-www-form-urlencoded", good).await, 500);
    assert_eq!(login("application/json", "{").await, 500);
    assert_eq!(login("application/json", r#"{"clientId": 1, "clientSecret": "s"}"#).await, 422);
    let client = Client::login(&server, "all").await;
    for (path, status) in [
        ("?workspaceSlug=web", 400),
        ("?environment=dev", 400),
        ("/A?workspaceSlug=web", 400),
        ("?workspaceSlug=web&environment=dev&metadataFilter=key%3Dteam", 422),
        ("/A?workspaceSlug=web&environment=dev&version=x", 422),
        ("/A?workspaceSlug=web&environment=dev&type=other", 422),
    ] {
        assert_eq!(client.refused(path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn the_end_of_a_token_is_worded_as_wished() {
    let server = server();
    let client = Client::login(&server, "all").await;
    let path = format!("?{DEV}");
    assert_eq!(client.get(&path).await.0, 200);
    server.expire_tokens();
    let (status, error, message) = client.refused(&path).await;
    assert_eq!((status, error.as_str()), (403, "TokenError"));
    assert!(message.contains("expired"));
    server.word_expiry(Expiry::Unauthorized);
    assert_eq!(client.refused(&path).await.0, 401);
    let stranger = Client { server: &server, token: "nonsense".into() };
    assert_eq!(stranger.refused(&path).await.0, 403);
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let server = server();
    let client = Client::login(&server, "all").await;
    let missing = async |path: String| {
        let (status, _, message) = client.refused(&path).await;
        assert_eq!(status, 404, "{path}");
        message
    };
    assert!(missing(format!("/NONE?{DEV}")).await.starts_with("\"Secret with name 'NONE'"));
    assert!(missing(format!("/A?{DEV}&secretPath=/none")).await.starts_with("\"Folder with path '/none'"));
    assert!(missing("/A?workspaceSlug=web&environment=none".into()).await.starts_with("\"Folder with path '/'"));
    assert!(missing("?workspaceSlug=none&environment=dev".into()).await.starts_with("\"Project with slug 'none'"));
    let recursive = "?workspaceSlug=web&environment=none&recursive=true";
    assert!(missing(recursive.into()).await.starts_with("\"Environment with slug 'none'"));
    let no_folder = missing(format!("?{DEV}&secretPath=/none/&recursive=true")).await;
    assert!(no_folder.starts_with("\"Folder with path '/none' in environment 'dev' was not found. "), "{no_folder}");
    assert!(missing("?workspaceSlug=web&environment=none".into()).await.starts_with("\"Folder with path '/' in"));
    let (status, error, _) = client.refused(&format!("?{DEV}&recursive=yes")).await;
    assert_eq!((status, error.as_str()), (422, "ValidationFailure"));
    assert_eq!(client.refused(&format!("?{DEV}&secretpath=/")).await.0, 422);
    assert_eq!(client.refused("/A/B").await.1, "Not Found");
}

#[tokio::test]
async fn older_servers_keep_quiet_about_what_is_missing() {
    let contents = Contents {
        identities: vec![Identity::universal("all", "s", "web")],
        projects: vec![Project::new("web", &["dev"])],
        ..Contents::default()
    };
    let settings = Settings { absence: Absence::Empty, ..Settings::default() };
    let server = InfisicalServer::start_with(Listen::default(), settings, contents).expect("a free port");
    let client = Client::login(&server, "all").await;
    for empty in ["?workspaceSlug=web&environment=none", "?workspaceSlug=web&environment=dev&secretPath=/none"] {
        assert_eq!(client.get(empty).await, (200, json!({"secrets": [], "imports": []})), "{empty}");
    }
}

#[tokio::test]
async fn a_token_that_holds_can_be_revoked_once() {
    let server = server();
    let client = Client::login(&server, "all").await;
    let other = Client::login(&server, "all").await;
    let revoke = async |token: &str| {
        let (status, answer) = post(server.url(), "/api/v1/auth/token/revoke", json!({"accessToken": token})).await;
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(revoke("nonsense").await, (403, "TokenError".into()));
    assert_eq!(revoke(&client.token).await, (200, String::new()));
    assert_eq!(revoke(&client.token).await, (401, "UnauthorizedError".into()));
    let (status, _, message) = client.refused(&format!("?{DEV}")).await;
    assert_eq!((status, message.as_str()), (401, "\"No identity access token found\""));
    assert_eq!(other.get(&format!("?{DEV}")).await.0, 200);
    server.expire_tokens();
    assert_eq!(revoke(&other.token).await, (403, "TokenError".into()));
    let more = json!({"accessToken": "t", "token": "t"});
    assert_eq!(post(server.url(), "/api/v1/auth/token/revoke", more).await.0, 422);
    assert_eq!((server.revoked_tokens(), server.counts().of("revoke-token")), (1, 5));
}

#[tokio::test]
async fn listings_have_own_and_imported_secrets() {
    let server = server();
    let client = Client::login(&server, "all").await;
    let (_, plain) = client.get(&format!("?{DEV}")).await;
    assert_eq!((names(&plain["secrets"]), &plain["imports"]), (vec!["A"], &json!([])));
    let own = &plain["secrets"][0];
    assert_eq!((&own["secretValue"], &own["version"], &own["secretPath"]), (&json!("one"), &json!(1), &json!("/")));
    assert_eq!((&own["tags"][0]["slug"], &own["secretMetadata"][0]["key"]), (&json!("blue"), &json!("team")));
    let (_, all) = client.get(&format!("?{DEV}&include_imports=true&recursive=true")).await;
    assert_eq!(names(&all["secrets"]), ["A", "A", "B", "URL", "C"]);
    assert_eq!(names(&all["imports"][0]["secrets"]), ["A", "S", "C"]);
    assert_eq!(all["imports"][0]["secretPath"], "/shared");
    let (_, hidden) = client.get(&format!("?{DEV}&viewSecretValue=false")).await;
    assert_eq!(hidden["secrets"][0]["secretValueHidden"], true);
    assert!(!hidden.to_string().contains("one"));
}

#[tokio::test]
async fn single_secrets_have_versions_imports_and_references() {
    let server = server();
    let client = Client::login(&server, "all").await;
    server.put(Secret::new(&place("/"), "A", "newer"));
    assert_eq!(client.value(&format!("/A?{DEV}")).await, "newer");
    assert_eq!(client.value(&format!("/A?{DEV}&version=1")).await, "one");
    assert_eq!(client.refused(&format!("/A?{DEV}&version=3")).await.0, 404);
    assert_eq!(client.value(&format!("/A?{DEV}&version=3&include_imports=true")).await, "hidden by an own one");
    assert_eq!(client.refused(&format!("/S?{DEV}")).await.0, 404);
    assert_eq!(client.value(&format!("/S?{DEV}&include_imports=true")).await, "shared");
    let url = |expand| format!("/URL?{DEV}&secretPath=/app/&expandSecretReferences={expand}");
    assert_eq!(client.value(&url(false)).await, "http://${B}:${dev.A}/${NONE}");
    assert_eq!(client.value(&url(true)).await, "http://three:newer/${NONE}");
}

#[tokio::test]
async fn a_role_sees_only_its_secrets() {
    let server = server();
    let client = Client::login(&server, "app").await;
    assert_eq!(client.value(&format!("/A?{DEV}&secretPath=/app")).await, "two");
    let (status, error, _) = client.refused(&format!("/A?{DEV}")).await;
    assert_eq!((status, error.as_str()), (403, "PermissionDenied"));
    assert_eq!(client.refused(&format!("/NONE?{DEV}")).await.0, 403);
    assert_eq!(client.get(&format!("/A?{DEV}&viewSecretValue=false")).await.0, 200);
    assert_eq!(client.refused(&format!("?{DEV}")).await.0, 403);
    let (_, all) = client.get(&format!("?{DEV}&viewSecretValue=false&recursive=true&include_imports=true")).await;
    assert_eq!(
        (names(&all["secrets"]), names(&all["imports"][0]["secrets"])),
        (vec!["A", "A", "B", "URL", "C"], vec!["C"])
    );
    let (status, error, message) =
        client.refused(&format!("/URL?{DEV}&secretPath=/app&expandSecretReferences=true")).await;
    assert_eq!((status, error.as_str()), (403, "ForbiddenError"));
    assert!(message.contains("attempting to reference"), "{message}");
    let stranger = Client::login(&server, "stranger").await;
    assert!(stranger.refused(&format!("?{DEV}")).await.2.contains("not a member"));
}

#[tokio::test]
async fn calls_are_counted_and_faults_speak_the_vendors_words() {
    let server = server();
    let client = Client::login(&server, "all").await;
    server.faults().set_times("get-secret", Fault::Status { status: 403, retry_after: None }, 1);
    assert_eq!(client.refused(&format!("/A?{DEV}")).await.1, "TokenError");
    assert_eq!(client.value(&format!("/A?{DEV}")).await, "one");
    client.get(&format!("?{DEV}")).await;
    let counts = server.counts();
    assert_eq!(["login", "get-secret", "list-secrets", "unknown"].map(|name| counts.of(name)), [1, 2, 1, 0]);
}

#[tokio::test]
async fn another_process_can_drive_it() {
    let server = InfisicalServer::start().expect("a free port");
    let put = async |path: &str, body: Value| {
        let url = format!("{}/_fake{path}", server.url());
        reqwest::Client::new().put(url).json(&body).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(put("/projects", json!({"slug": "p", "environments": ["dev"], "organization": "sub"})).await, 200);
    let secret = json!({"project": "p", "environment": "dev", "path": "/a", "name": "X", "value": "v"});
    assert_eq!(put("/secrets", secret.clone()).await, 204);
    let elsewhere = json!({"project": "q", "environment": "dev", "name": "X", "value": "v"});
    assert_eq!(put("/secrets", elsewhere).await, 404);
    let identity = json!({"id": "i", "method": "token", "accessToken": "t", "allow": [{"project": "p"}]});
    assert_eq!(put("/identities", identity).await, 200);
    let client = Client { server: &server, token: "t".into() };
    let path = "/X?workspaceSlug=p&environment=dev&secretPath=/a";
    assert_eq!(client.refused(path).await.0, 404, "the token is not for the sub-organization");
    assert_eq!(put("/projects", json!({"slug": "p", "environments": ["dev"]})).await, 200);
    assert_eq!(put("/secrets", secret).await, 204);
    assert_eq!(client.value(path).await, "v");
    let gone = format!("{}/_fake/secrets?project=p&environment=dev&path=/a&name=X", server.url());
    assert_eq!(reqwest::Client::new().delete(gone).send().await.expect("an answer").status(), 204);
    assert_eq!(client.refused(path).await.0, 404);
}
