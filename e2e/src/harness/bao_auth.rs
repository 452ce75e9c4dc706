//! Policies and ways to log in to OpenBao.

use std::fs;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::bao::Bao;
use super::control_plane::ControlPlane;
use super::layout::tool;
use super::manifests::apply_yaml;

/// Who may let the API server review a token. One per control plane, used by every mount.
const TOKEN_REVIEWER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: bao-token-reviewer }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: bao-token-reviewer }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:auth-delegator' }
subjects: [{ kind: ServiceAccount, name: bao-token-reviewer, namespace: default }]
";

/// The plugin that has those auth methods of Vault's that OpenBao comes without.
const PLUGIN: &str = "vault-auth-methods";

impl Bao {
    /// Writes a policy; for example `path "secret/data/*" { capabilities = ["read"] }`.
    pub async fn policy(&self, name: &str, rules: &str) -> Result<()> {
        self.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules })).await?;
        Ok(())
    }

    /// Lets an auth method be enabled that Vault has and OpenBao comes without: `aws`, `gcp` or `ldap`. It runs with these
    /// variables, for example `NAME=value`.
    pub async fn plug_in(&self, method: &str, variables: &[&str]) -> Result<()> {
        let program = fs::read(tool(PLUGIN)?).context("failed to read the plugin")?;
        let sum =
            digest(&SHA256, &program).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let plugin = json!({ "command": PLUGIN, "args": [method], "env": variables, "sha256": sum });
        self.write(&format!("sys/plugins/catalog/auth/{method}"), &plugin).await?;
        Ok(())
    }

    /// Makes an auth mount of a kind such as `approle`, `userpass`, `kubernetes` or `jwt`; `aws`, `gcp` and `ldap` must
    /// have been plugged in.
    pub async fn enable_auth(&self, path: &str, kind: &str) -> Result<()> {
        self.write(&format!("sys/auth/{path}"), &json!({ "type": kind })).await?;
        Ok(())
    }

    /// A token with these policies, valid for `ttl`, for example `1h`.
    pub async fn token(&self, policies: &[&str], ttl: &str) -> Result<String> {
        let body = json!({ "policies": policies, "ttl": ttl, "no_parent": true });
        let answer = self.write("auth/token/create", &body).await?;
        text(&answer["auth"]["client_token"])
    }

    /// Makes a role of an AppRole mount and returns its role id and a secret id. Tokens are valid for `ttl`.
    pub async fn app_role(&self, mount: &str, role: &str, policies: &[&str], ttl: &str) -> Result<(String, String)> {
        let path = format!("auth/{mount}/role/{role}");
        self.write(&path, &json!({ "token_policies": policies, "token_ttl": ttl })).await?;
        let role_id = self.read(&format!("{path}/role-id")).await?.context("the role has no id")?;
        let secret_id = self.write(&format!("{path}/secret-id"), &json!({})).await?;
        Ok((text(&role_id["data"]["role_id"])?, text(&secret_id["data"]["secret_id"])?))
    }

    /// Makes a user of a userpass mount.
    pub async fn user(&self, mount: &str, user: &str, password: &str, policies: &[&str]) -> Result<()> {
        let body = json!({ "password": password, "token_policies": policies });
        self.write(&format!("auth/{mount}/users/{user}"), &body).await?;
        Ok(())
    }

    /// Lets a kubernetes mount verify tokens through the TokenReview API of a control plane.
    pub async fn review_tokens(&self, mount: &str, cluster: &ControlPlane) -> Result<()> {
        apply_yaml(&cluster.client()?, "default", TOKEN_REVIEWER).await?;
        let body = json!({
            "kubernetes_host": cluster.url(),
            "kubernetes_ca_cert": cluster.ca_pem(),
            "token_reviewer_jwt": cluster.token_for("default", "bao-token-reviewer", &[]).await?,
        });
        self.write(&format!("auth/{mount}/config"), &body).await?;
        Ok(())
    }

    /// Makes a role of a kubernetes mount for one ServiceAccount. The token must be for `audience` if that is given.
    pub async fn kubernetes_role(
        &self,
        mount: &str,
        role: &str,
        (namespace, service_account): (&str, &str),
        audience: Option<&str>,
        policies: &[&str],
    ) -> Result<()> {
        let mut body = json!({
            "bound_service_account_names": [service_account],
            "bound_service_account_namespaces": [namespace],
            "token_policies": policies,
        });
        if let Some(audience) = audience {
            body["audience"] = json!(audience);
        }
        self.write(&format!("auth/{mount}/role/{role}"), &body).await?;
        Ok(())
    }

    /// Lets a jwt mount verify the ServiceAccount tokens of a control plane by its public key.
    pub async fn trust_issuer(&self, mount: &str, cluster: &ControlPlane) -> Result<()> {
        let body = json!({
            "jwt_validation_pubkeys": [cluster.token_verifier_pem()],
            "bound_issuer": cluster.token_issuer(),
        });
        self.write(&format!("auth/{mount}/config"), &body).await?;
        Ok(())
    }

    /// Makes a role of a jwt mount for one ServiceAccount whose token is for `audience`.
    pub async fn jwt_role(
        &self,
        mount: &str,
        role: &str,
        (namespace, service_account): (&str, &str),
        audience: &str,
        policies: &[&str],
    ) -> Result<()> {
        let body = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_subject": format!("system:serviceaccount:{namespace}:{service_account}"),
            "bound_audiences": [audience],
            "token_policies": policies,
        });
        self.write(&format!("auth/{mount}/role/{role}"), &body).await?;
        Ok(())
    }
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("OpenBao's answer lacks an expected field")
}
