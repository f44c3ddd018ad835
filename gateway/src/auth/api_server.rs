//! What the API server tells about service accounts' tokens: its issuer and
//! keys, and whether an account still stands behind a token.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use http::Request;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use tokio::time::timeout;

use super::KeysError;
use super::key_set::KeySet;
use super::key_source::KeySource;

/// How long the API server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Always there, whatever address `jwks_uri` of the discovery document names for the outside.
const KEY_SET: &str = "/openid/v1/jwks";

/// The API server, asked by the gateway's own credentials and never by the
/// dialer that tenants' addresses go through.
pub(super) struct ApiServer {
    client: Client,
    issuer: ArcSwapOption<String>,
}

/// What the API server says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// The account, and the pod that the token is bound to, exist.
    Stands,
    /// The account or the pod is gone, or the API server never gave the token out.
    Revoked,
    /// Nobody answered.
    Away,
}

/// The API server answered, and did not say whether the token stands.
#[derive(Debug, thiserror::Error)]
#[error("the API server does not review tokens for the gateway")]
pub(super) struct NotReviewed(#[source] kube::Error);

impl ApiServer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            issuer: ArcSwapOption::empty(),
        }
    }

    /// `iss` of its tokens; nothing before keys were fetched.
    pub(super) fn issuer(&self) -> Option<Arc<String>> {
        self.issuer.load_full()
    }

    /// Asks whether a token stands (TokenReview). Key sets cannot tell that an account was deleted.
    pub(super) async fn review(
        &self,
        token: &str,
        audience: &str,
        user: &str,
    ) -> Result<Review, NotReviewed> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![audience.to_owned()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let parameters = PostParams::default();
        let answer = timeout(PATIENCE, reviews.create(&parameters, &review)).await;
        let status = match answer {
            Ok(Ok(review)) => review.status.unwrap_or_default(),
            Ok(Err(error @ kube::Error::Api(_))) => return Err(NotReviewed(error)),
            Ok(Err(_)) | Err(_) => return Ok(Review::Away),
        };
        let stands = status.authenticated == Some(true)
            && status.user.and_then(|user| user.username).as_deref() == Some(user)
            && status
                .audiences
                .iter()
                .flatten()
                .any(|found| found == audience);
        Ok(if stands {
            Review::Stands
        } else {
            Review::Revoked
        })
    }

    async fn read(&self, path: &'static str) -> Result<String, KeysError> {
        let unread = |source| {
            tracing::warn!(path, %source, "the API server's keys cannot be fetched");
            KeysError::ApiServer { path, source }
        };
        let request = Request::get(path)
            .body(vec![])
            .map_err(|error| unread(Arc::new(error)))?;
        match timeout(PATIENCE, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(unread(Arc::new(error))),
            Err(elapsed) => Err(unread(Arc::new(elapsed))),
        }
    }
}

#[async_trait]
impl KeySource for ApiServer {
    async fn fetch(&self) -> Result<KeySet, KeysError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
        }
        let unreadable = |path| {
            move |error: serde_json::Error| KeysError::ApiServer {
                path,
                source: Arc::new(error),
            }
        };
        let discovery = self.read(DISCOVERY).await?;
        let metadata: Metadata = serde_json::from_str(&discovery).map_err(unreadable(DISCOVERY))?;
        let keys = self.read(KEY_SET).await?;
        let keys = KeySet::read(keys.as_bytes()).map_err(unreadable(KEY_SET))?;
        self.issuer.store(Some(Arc::new(metadata.issuer)));
        Ok(keys)
    }
}
