//! The API server of this test run, asked as anybody, with the whole of its answer.

use anyhow::{Context, Result};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::program::setting;

/// The API server, as one user.
pub struct KubernetesApi {
    client: Client,
}

/// What the API server answered.
#[derive(Debug)]
pub struct KubernetesAnswer {
    /// The HTTP status.
    pub code: StatusCode,
    /// The object, or the `Status` that says what was refused and by whom.
    pub body: Value,
}

impl KubernetesApi {
    /// The API server as the cluster's administrator.
    pub async fn as_administrator() -> Result<Self> {
        Self::impersonating(None, &[]).await
    }

    /// The API server as that user. Groups that every user has need not be named.
    pub async fn as_user(user: &str, groups: &[&str]) -> Result<Self> {
        Self::impersonating(Some(user), groups).await
    }

    /// The API server as the bearer of a token, who may ask to be taken for somebody else.
    pub async fn with_token(token: &str, impersonated: Option<&str>) -> Result<Self> {
        Self::with(AuthInfo {
            token: Some(token.to_owned().into()),
            impersonate: impersonated.map(str::to_owned),
            ..AuthInfo::default()
        })
        .await
    }

    async fn impersonating(user: Option<&str>, groups: &[&str]) -> Result<Self> {
        Self::with(AuthInfo {
            impersonate: user.map(str::to_owned),
            impersonate_groups: (!groups.is_empty())
                .then(|| groups.iter().map(|&group| group.to_owned()).collect()),
            ..configuration().await?.auth_info
        })
        .await
    }

    async fn with(auth_info: AuthInfo) -> Result<Self> {
        let mut config = configuration().await?;
        config.auth_info = auth_info;
        Ok(Self {
            client: Client::try_from(config)?,
        })
    }

    /// Sends a request. A PATCH is a merge patch.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<KubernetesAnswer> {
        let content_type = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let bytes = body
            .map_or_else(|| Ok(Vec::new()), serde_json::to_vec)
            .context("the body is no JSON")?;
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("content-type", content_type)
            .body(Body::from(bytes))?;
        let answer = self
            .client
            .send(request)
            .await
            .with_context(|| format!("{method} {path} got no answer"))?;
        let code = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(KubernetesAnswer {
            code,
            body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
        })
    }
}

impl KubernetesAnswer {
    /// What the API server says about its refusal; empty if it refused nothing.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

async fn configuration() -> Result<kube::Config> {
    let path = setting("AGENTAPI_TEST_KUBECONFIG")?;
    let kubeconfig = Kubeconfig::read_from(&path)
        .with_context(|| format!("the kubeconfig {path} cannot be used"))?;
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}
