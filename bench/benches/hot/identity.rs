//! From a bearer to a caller.

use std::hint::black_box;
use std::sync::Arc;

use agentapi_gateway::auth::{Authenticator, NewApiKey, bearer};
use agentapi_gateway::store::{self, ApiKey, HashedApiKey};
use agentapi_gateway::telemetry::Metrics;
use agentapi_gateway::tenants::{Environment, Tenants, compile};
use agentapi_gateway::upstream::{Dialer, NoTokens};
use anyhow::{Context, Result, anyhow, ensure};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use criterion::Criterion;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::runtime::Builder;

use crate::organization::{self, AUDIENCE, ISSUER};

/// Length of the measured token, in bytes.
const TOKEN_BYTES: usize = 1024;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key"))?;
    let tenants = Tenants::default();
    let environment = Environment {
        dialer: Dialer::new(vec![]),
        secrets: Arc::new(crate::tenants::NoSecrets),
        tokens: Arc::new(NoTokens),
        development: None,
        processes: false,
        bridges: None,
        metrics: Metrics::new(),
    };
    let tenant = compile(organization::acme(key_set(&pair))?, None, &environment)?;
    let id = tenant.id;
    tenants.put(tenant);
    let store = runtime.block_on(store::open(&"sqlite::memory:".into()))?;
    let authenticator = Authenticator::new(tenants, store.clone(), None);
    let token = token(&pair)?;
    ensure!(
        token.len() >= TOKEN_BYTES,
        "the token has {} bytes",
        token.len()
    );

    let mut group = criterion.benchmark_group("identity");
    let mut headers = HeaderMap::new();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {token}"))?,
    );
    group.bench_function("bearer of a request", |bencher| {
        bencher.iter(|| bearer(black_box(&headers)).is_ok());
    });
    runtime.block_on(authenticator.authenticate(&token, None))?;
    group.bench_function("cached RS256 token of 1 KiB", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| authenticator.authenticate(black_box(&token), None));
    });

    let new = NewApiKey::random("acme", id).map_err(|_| anyhow!("no random numbers"))?;
    let key = HashedApiKey {
        key: ApiKey {
            id: new.id,
            user: "alice".to_owned(),
            name: "bench".to_owned(),
            roles: vec!["user".to_owned()],
            scopes: vec!["mcp".to_owned()],
            created_at: Timestamp::now(),
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        },
        hash: new.hash,
    };
    runtime.block_on(store.create_api_key(id, key, 10, None))?;
    let text = new.text.expose_secret();
    group.bench_function("cached API key", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| authenticator.authenticate(black_box(text), None));
    });
    group.bench_function("forged API key, refused", |bencher| {
        let forged = format!("{}{}", &text[..text.len() - 8], "00000000");
        bencher
            .to_async(&runtime)
            .iter(|| authenticator.authenticate(black_box(&forged), None));
    });
    group.finish();
    Ok(())
}

fn key_set(pair: &KeyPair) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = pair.public_key();
    json!({ "keys": [{
        "kty": "RSA", "kid": "bench", "use": "sig", "alg": "RS256",
        "n": encode(public.modulus().big_endian_without_leading_zero()),
        "e": encode(public.exponent().big_endian_without_leading_zero()),
    }] })
    .to_string()
}

/// A token as an identity provider makes it, with claims that fill it to its length.
fn token(pair: &KeyPair) -> Result<String> {
    let document = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(|_| anyhow!("no PKCS#8 form"))?;
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(document.as_ref())
    );
    let key = EncodingKey::from_rsa_pem(pem.as_bytes())?;
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("bench".to_owned());
    let now = Timestamp::now().as_second();
    let claims = |padding: usize| {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "8a6e0804-2bd0-4672-b79d-d97027f9071a", "org_id": "acme",
            "roles": ["user"], "iat": now, "exp": now + 3600, "email": format!("alice@{}", "x".repeat(padding)),
        })
    };
    let short = jsonwebtoken::encode(&header, &claims(0), &key)?;
    // Base64 turns three bytes of claims into four of the token.
    let padding = TOKEN_BYTES.saturating_sub(short.len()) * 3 / 4 + 2;
    jsonwebtoken::encode(&header, &claims(padding), &key).context("the token could not be signed")
}
