//! Tokens of Kubernetes ServiceAccounts as logins.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::jwt;

/// The API server that tokens are checked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenReview {
    /// Address of the API server.
    pub url: String,
    /// PEM file of the authority that signed its certificate; without it the system's authorities are trusted.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A token that may create TokenReviews.
    pub reviewer_token: String,
    /// Audiences of which the token must name one; empty means the API server's own.
    #[serde(default)]
    pub audiences: Vec<String>,
}

/// Whose token it is that `/auth` was sent.
pub(super) async fn subject(encoded: &str, review: Option<&TokenReview>) -> Result<String, Refusal> {
    let refused = |what: &str| Refusal::unauthorized(format!("authentication failed: {what}"));
    let token = STANDARD.decode(encoded).ok().and_then(|token| String::from_utf8(token).ok());
    let token = token.ok_or_else(|| Refusal::bad_request("k8s-service-account-token must be base64"))?;
    let claims = jwt::claims(&token).ok_or_else(|| refused("the service account token is no JWT"))?;
    if jwt::has_expired(&claims) {
        return Err(refused("the service account token has expired"));
    }
    match review {
        None => Ok(claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned()),
        Some(review) => match review.user_of(&token).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(refused("the API server does not know the service account token")),
            Err(_) => Err(refused("the API server cannot be asked")),
        },
    }
}

impl TokenReview {
    /// The user that the API server takes the bearer of `token` for.
    pub(crate) async fn user_of(&self, token: &str) -> anyhow::Result<Option<String>> {
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(file) = &self.ca_file {
            let pem = tokio::fs::read(file).await?;
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        let question = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": self.audiences},
        });
        let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", self.url.trim_end_matches('/'));
        let answer = client.build()?.post(url).bearer_auth(&self.reviewer_token).json(&question).send().await?;
        let review: Value = answer.error_for_status()?.json().await?;
        let status = &review["status"];
        let known = status["authenticated"].as_bool().unwrap_or_default();
        Ok(status["user"]["username"].as_str().filter(|_| known).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::HeaderMap, routing::post};
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::{TokenReview, subject};
    use crate::jwt::tests::token;

    /// An API server that knows one token.
    async fn api_server(known: String) -> String {
        let review = async move |headers: HeaderMap, Json(review): Json<Value>| {
            assert_eq!(headers["authorization"], "Bearer reviewer");
            let known = review["spec"] == json!({"token": known, "audiences": ["akeyless"]});
            Json(json!({"status": {"authenticated": known, "user": {"username": "system:serviceaccount:a:b"}}}))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", post(review));
        tokio::spawn(async { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_review_asks_the_api_server() {
        let good = token(&json!({"sub": "pretended"}));
        let review = TokenReview {
            url: api_server(good.clone()).await,
            ca_file: None,
            reviewer_token: "reviewer".into(),
            audiences: vec!["akeyless".into()],
        };
        let ask = async |token: &str, review: &TokenReview| subject(&STANDARD.encode(token), Some(review)).await;
        assert_eq!(ask(&good, &review).await.unwrap(), "system:serviceaccount:a:b");
        let other = ask(&token(&json!({"sub": "other"})), &review).await.unwrap_err();
        assert!(format!("{other:?}").contains("does not know"), "{other:?}");
        let down = TokenReview { url: "http://127.0.0.1:1".into(), ..review };
        let unknown = ask(&good, &down).await.unwrap_err();
        assert!(format!("{unknown:?}").contains("cannot be asked"), "{unknown:?}");
    }

    #[tokio::test]
    async fn without_a_review_form_and_end_are_checked() {
        let encoded = |text: String| STANDARD.encode(text);
        let good = encoded(token(&json!({"sub": "system:serviceaccount:a:b"})));
        assert_eq!(subject(&good, None).await.unwrap(), "system:serviceaccount:a:b");
        let old = encoded(token(&json!({"sub": "x", "exp": 1})));
        assert!(format!("{:?}", subject(&old, None).await.unwrap_err()).contains("expired"));
        let plain = encoded("token".into());
        assert!(format!("{:?}", subject(&plain, None).await.unwrap_err()).contains("no JWT"));
        let bare = token(&json!({"sub": "x"}));
        assert!(format!("{:?}", subject(&bare, None).await.unwrap_err()).contains("base64"));
    }
}
