//! An API server that answers in this process; the real one is asked by the
//! tests of tier 3.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::auth::Authenticator;
use crate::auth::test_keys::{self, ISSUER, NoApiKeys, Pair, ed25519, now, rsa};
use crate::tenants::{Tenant, Tenants};

const CLUSTER: &str = "https://kubernetes.default.svc";

/// What the API server does when it is asked to review a token.
#[derive(Clone, Copy)]
enum Mood {
    Confirms,
    Denies,
    Forbids,
    Hangs,
}

/// An authenticator on an API server, with what the server was asked.
struct Setting {
    authenticator: Authenticator,
    tenants: Tenants,
    pair: Pair,
    mood: Arc<Mutex<Mood>>,
    reviews: Arc<AtomicUsize>,
}

impl Setting {
    /// With the organization acme, which accepts the tokens of its service accounts.
    fn new() -> Self {
        let pair = rsa();
        let mood = Arc::new(Mutex::new(Mood::Confirms));
        let reviews = Arc::new(AtomicUsize::new(0));
        let keys = json!({ "keys": [pair.public] }).to_string();
        let (current, count) = (mood.clone(), reviews.clone());
        let api_server = service_fn(move |request: Request<Body>| {
            let (mood, keys) = (*current.lock().unwrap(), keys.clone());
            let path = request.uri().path().to_owned();
            if path.ends_with("tokenreviews") {
                count.fetch_add(1, Ordering::SeqCst);
            }
            async move { answer(&path, mood, &keys) }
        });
        let tenants = Tenants::default();
        tenants.put(tenant("acme", "org-acme", true));
        let client = Client::new(api_server, "default");
        Self {
            authenticator: Authenticator::new(
                tenants.clone(),
                Arc::new(NoApiKeys),
                Some(ServiceAccounts::new(client)),
            ),
            tenants,
            pair,
            mood,
            reviews,
        }
    }

    async fn reason(&self, claims: &Value) -> &'static str {
        test_keys::reason(&self.authenticator, &self.pair.sign(claims)).await
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn answer(path: &str, mood: Mood, keys: &str) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let ok = |body: String| Ok(Response::new(Full::from(body)));
    match (path, mood) {
        ("/.well-known/openid-configuration", _) => {
            ok(json!({ "issuer": CLUSTER, "jwks_uri": "https://elsewhere.test" }).to_string())
        }
        ("/openid/v1/jwks", _) => ok(keys.to_owned()),
        (_, Mood::Confirms) => ok(review(json!({
            "authenticated": true,
            "audiences": ["agentapi"],
            "user": { "username": "system:serviceaccount:org-acme:runner" },
        }))),
        (_, Mood::Denies) => ok(review(json!({ "authenticated": false }))),
        (_, Mood::Forbids) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": "no", "reason": "Forbidden", "code": 403,
            });
            let mut answer = Response::new(Full::from(status.to_string()));
            *answer.status_mut() = StatusCode::FORBIDDEN;
            Ok(answer)
        }
        (_, Mood::Hangs) => Err(std::io::Error::other("nobody is there")),
    }
}

fn review(status: Value) -> String {
    json!({
        "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {}, "spec": {}, "status": status,
    })
    .to_string()
}

fn tenant(organization: &str, namespace: &str, service_accounts: bool) -> Tenant {
    let mut tenant = test_keys::tenant(organization, ed25519().keys(), false);
    let mut config = (*tenant.config).clone();
    config.namespace = namespace.to_owned();
    config.identity.service_accounts = service_accounts;
    tenant.config = Arc::new(config);
    tenant
}

fn token_claims() -> Value {
    json!({
        "iss": CLUSTER, "aud": ["agentapi"], "sub": "system:serviceaccount:org-acme:runner",
        "kubernetes.io": { "namespace": "org-acme", "serviceaccount": { "name": "runner", "uid": "1" } },
        "iat": now(), "nbf": now(), "exp": now() + 600,
    })
}

fn with(change: Value) -> Value {
    let mut claims = token_claims();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn a_service_account_of_the_organizations_namespace_is_its_user() {
    let setting = Setting::new();
    let token = setting.pair.sign(&token_claims());
    let caller = setting.authenticator.authenticate(&token, None).await;
    let caller = caller.expect("the token is good");
    assert_eq!(caller.tenant.config.organization, "acme");
    assert_eq!(&*caller.user, "system:serviceaccount:org-acme:runner");
    assert_eq!(&*caller.roles, ["user"]);
}

#[tokio::test]
async fn a_token_is_reviewed_once_while_it_is_remembered() {
    let setting = Setting::new();
    let token = setting.pair.sign(&token_claims());
    for _ in 0..3 {
        let caller = setting.authenticator.authenticate(&token, None).await;
        caller.expect("the token is good");
    }
    assert_eq!(setting.reviews.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused_without_a_review() {
    let setting = Setting::new();
    for (change, expected) in [
        (json!({ "aud": ["agentapi-internal"] }), "untrusted"),
        (json!({ "iss": "https://stranger.test" }), "untrusted"),
        (
            json!({ "sub": "system:serviceaccount:org-globex:runner" }),
            "untrusted",
        ),
        (
            json!({ "sub": "system:serviceaccount:org-acme:other" }),
            "claims",
        ),
        (
            json!({ "kubernetes.io": { "namespace": "org-globex" } }),
            "claims",
        ),
        (json!({ "exp": now() - 60 }), "expired"),
        (json!({ "nbf": now() + 600 }), "not_yet_valid"),
    ] {
        assert_eq!(
            setting.reason(&with(change.clone())).await,
            expected,
            "{change}"
        );
    }
    assert_eq!(setting.reviews.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_token_that_the_api_server_did_not_sign_is_refused() {
    let setting = Setting::new();
    let token = rsa().sign(&token_claims());
    assert_eq!(
        test_keys::reason(&setting.authenticator, &token).await,
        "signature"
    );
}

#[tokio::test]
async fn an_organization_that_turned_them_off_trusts_none() {
    let setting = Setting::new();
    setting.tenants.put(tenant("acme", "org-acme", false));
    assert_eq!(setting.reason(&token_claims()).await, "untrusted");
}

#[tokio::test]
async fn a_namespace_that_two_organizations_claim_speaks_for_neither() {
    let setting = Setting::new();
    setting.tenants.put(tenant("globex", "org-acme", true));
    assert_eq!(setting.reason(&token_claims()).await, "untrusted");
}

#[tokio::test]
async fn a_deleted_account_is_refused_and_not_asked_about_again_at_once() {
    let setting = Setting::new();
    setting.becomes(Mood::Denies);
    for _ in 0..3 {
        assert_eq!(setting.reason(&token_claims()).await, "revoked");
    }
    assert_eq!(setting.reviews.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn while_the_api_server_is_away_its_keys_decide_alone() {
    let setting = Setting::new();
    setting.becomes(Mood::Hangs);
    let token = setting.pair.sign(&token_claims());
    let caller = setting.authenticator.authenticate(&token, None).await;
    caller.expect("the token is good");
}

#[tokio::test]
async fn an_api_server_that_does_not_review_for_the_gateway_lets_nobody_in() {
    let setting = Setting::new();
    setting.becomes(Mood::Forbids);
    assert_eq!(setting.reason(&token_claims()).await, "keys_unavailable");
}

#[tokio::test]
async fn an_issuer_on_the_web_may_name_a_user_like_a_service_account() {
    let setting = Setting::new();
    let pair = ed25519();
    setting
        .tenants
        .put(test_keys::tenant("acme", pair.keys(), false));
    let mut claims = test_keys::claims("acme");
    claims["sub"] = json!("system:serviceaccount:org-acme:runner");
    assert_eq!(claims["iss"], ISSUER);
    let caller = setting
        .authenticator
        .authenticate(&pair.sign(&claims), None)
        .await;
    caller.expect("its own issuer says who it is");
}

#[tokio::test]
async fn without_a_cluster_the_refusal_says_what_to_use() {
    let authenticator = test_keys::authenticator(vec![tenant("acme", "org-acme", true)]);
    let token = rsa().sign(&token_claims());
    let error = authenticator.authenticate(&token, None).await.unwrap_err();
    assert_eq!(error.reason(), "no_cluster");
    assert!(error.to_string().contains("agentapi token"), "{error}");
}
