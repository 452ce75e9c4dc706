//! How tokens of Kubernetes ServiceAccounts are checked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::keys::{self, Keys, Wrong};

/// Who knows whose a token is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Review {
    /// Whoever has these keys has signed it, in a cluster without an API server.
    Keys(Keys),
    /// The API server is asked.
    Server(TokenReview),
}

/// The API server that is asked about tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Review {
    /// The user whom the bearer of `token` is taken for; otherwise what is wrong.
    pub(crate) async fn user_of(&self, token: &str) -> Result<String, &'static str> {
        match self {
            Self::Keys(keys) => match keys.verify(token).await {
                Ok(claims) => Ok(claims.text("sub").to_owned()),
                Err(Wrong::Form) => Err("the service account token is no JWT"),
                Err(Wrong::Expired) => Err("the service account token has expired"),
                Err(_) => Err("the cluster does not know the service account token"),
            },
            Self::Server(server) => {
                let user = server.ask(token).await.map_err(|_| "the API server cannot be asked")?;
                user.ok_or("the API server does not know the service account token")
            }
        }
    }
}

impl TokenReview {
    async fn ask(&self, token: &str) -> anyhow::Result<Option<String>> {
        let question = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": self.audiences},
        });
        let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", self.url.trim_end_matches('/'));
        let client = keys::client(self.ca_file.as_deref()).await?;
        let answer = client.post(url).bearer_auth(&self.reviewer_token).json(&question).send().await?;
        let review: Value = answer.error_for_status()?.json().await?;
        let status = &review["status"];
        let known = status["authenticated"].as_bool().unwrap_or_default();
        Ok(status["user"]["username"].as_str().filter(|_| known).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::HeaderMap, routing::post};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::{Review, TokenReview};
    use crate::keys::Issuer;

    /// An API server that knows one token.
    async fn api_server(known: &'static str) -> String {
        let review = async move |headers: HeaderMap, Json(review): Json<Value>| {
            assert_eq!(headers["authorization"], "Bearer reviewer");
            let known = review["spec"] == json!({"token": known, "audiences": ["vault"]});
            Json(json!({"status": {"authenticated": known, "user": {"username": "system:serviceaccount:a:b"}}}))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", post(review));
        tokio::spawn(async { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn the_api_server_is_asked() {
        let review = TokenReview {
            url: api_server("good").await,
            ca_file: None,
            reviewer_token: "reviewer".into(),
            audiences: vec!["vault".into()],
        };
        let down = Review::Server(TokenReview { url: "http://127.0.0.1:1".into(), ..review.clone() });
        let review = Review::Server(review);
        assert_eq!(review.user_of("good").await, Ok("system:serviceaccount:a:b".to_owned()));
        assert_eq!(review.user_of("other").await, Err("the API server does not know the service account token"));
        assert_eq!(down.user_of("good").await, Err("the API server cannot be asked"));
    }

    #[tokio::test]
    async fn without_an_api_server_its_keys_tell() {
        let (issuer, claims) = (Issuer::default(), json!({"sub": "system:serviceaccount:a:b"}));
        let review = Review::Keys(issuer.keys());
        assert_eq!(review.user_of(&issuer.sign(&claims)).await, Ok("system:serviceaccount:a:b".to_owned()));
        for (token, wrong) in [
            (Issuer::default().sign(&claims), "the cluster does not know the service account token"),
            (issuer.sign(&json!({"sub": "x", "exp": 1})), "the service account token has expired"),
            ("token".to_owned(), "the service account token is no JWT"),
        ] {
            assert_eq!(review.user_of(&token).await, Err(wrong));
        }
    }
}
