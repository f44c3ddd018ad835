use std::collections::BTreeMap;

use agentapi_crds::tenant_config::{
    AuditConfig, AuditDurability, ClaimPaths, EgressConfig, EgressDestination, IdentityConfig,
    IssuerConfig, IssuerKeys, MIN_READER, RateConfig, RateLimitsConfig, SCHEMA_VERSION,
    SessionsConfig, TenantConfig,
};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::domain::prompts::Prompts;
use crate::store::TenantId;
use crate::upstream::{Dialer, EgressPolicy, HttpClient};

const ISSUER: &str = "https://issuer.test";

/// A key pair: what signs, and the public key as a JWK.
struct Pair {
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

fn rsa() -> Pair {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = json!({
        "kty": "RSA", "kid": "rsa", "use": "sig",
        "n": encode(pair.public_key().modulus().big_endian_without_leading_zero()),
        "e": encode(pair.public_key().exponent().big_endian_without_leading_zero()),
    });
    let private =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let private =
        EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).unwrap();
    Pair {
        algorithm: Algorithm::RS256,
        private,
        public,
    }
}

fn ecdsa() -> Pair {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let public = json!({
        "kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    });
    let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    Pair {
        algorithm: Algorithm::ES256,
        private,
        public,
    }
}

fn ed25519() -> Pair {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
    });
    let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
    Pair {
        algorithm: Algorithm::EdDSA,
        private,
        public,
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims(organization: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": ["agentapi"], "sub": "alice", "org_id": organization, "roles": ["user"],
        "iat": now(), "exp": now() + 600,
    })
}

impl Pair {
    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.public["kid"].as_str().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }

    fn keys(&self) -> IssuerKeys {
        IssuerKeys::Inline(json!({ "keys": [self.public] }).to_string())
    }
}

fn tenant(organization: &str, keys: IssuerKeys, suspended: bool) -> Tenant {
    let issuer = IssuerConfig {
        issuer: ISSUER.into(),
        keys,
        audiences: vec!["agentapi".into()],
        claims: ClaimPaths {
            user: "sub".into(),
            organization: "org_id".into(),
            roles: "roles".into(),
        },
        organization_value: organization.into(),
    };
    let config = TenantConfig {
        schema_version: SCHEMA_VERSION,
        min_reader: MIN_READER,
        revision: String::new(),
        organization: organization.into(),
        tenant_id: Uuid::new_v5(&Uuid::NAMESPACE_URL, organization.as_bytes()),
        namespace: format!("org-{organization}"),
        display_name: organization.into(),
        suspended,
        identity: IdentityConfig {
            issuers: vec![issuer.clone()],
            service_accounts: false,
        },
        egress: vec![],
        sessions: SessionsConfig {
            max_per_user: 1,
            idle_timeout_seconds: 1,
            max_lifetime_seconds: 1,
        },
        rate_limits: RateLimitsConfig {
            per_user: RateConfig {
                requests_per_minute: 1,
                burst: 1,
            },
            overrides: BTreeMap::new(),
            organization: None,
        },
        audit: AuditConfig {
            retention_days: 365,
            durability: AuditDurability::Synchronous,
        },
        servers: vec![],
        prompts: vec![],
    };
    let loopback = EgressConfig {
        destination: EgressDestination::Cidr("127.0.0.0/8".parse().unwrap()),
        ports: vec![],
    };
    let dialer = Dialer::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let http = HttpClient::new(&dialer, EgressPolicy::declared(&[loopback]), None).unwrap();
    Tenant {
        id: TenantId(config.tenant_id),
        issuers: vec![Arc::new(Issuer::compile(&issuer, &http).unwrap())],
        config: Arc::new(config),
        prompts: Prompts::default(),
        servers: BTreeMap::new(),
    }
}

fn authenticator(tenants: Vec<Tenant>) -> Authenticator {
    let all = Tenants::default();
    for tenant in tenants {
        all.put(tenant);
    }
    Authenticator::new(all)
}

async fn reason(authenticator: &Authenticator, token: &str) -> &'static str {
    match authenticator.authenticate(token, None).await {
        Ok(caller) => panic!(
            "let in as {} of {}",
            caller.user, caller.tenant.config.organization
        ),
        Err(error) => error.reason(),
    }
}

#[tokio::test]
async fn tokens_of_each_supported_algorithm_are_accepted() {
    for pair in [rsa(), ecdsa(), ed25519()] {
        let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
        let caller = authenticator
            .authenticate(&pair.sign(&claims("acme")), None)
            .await;
        assert_eq!(
            &*caller.expect("a valid token is refused").user,
            "alice",
            "{:?}",
            pair.algorithm
        );
    }
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused() {
    let pair = ed25519();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
    for (change, expected) in [
        (json!({ "exp": now() - 60 }), "expired"),
        (json!({ "nbf": now() + 600 }), "not_yet_valid"),
        (json!({ "aud": "somebody-else" }), "untrusted"),
        (json!({ "aud": null }), "untrusted"),
        (json!({ "iss": "https://stranger.test" }), "untrusted"),
        (json!({ "org_id": "globex" }), "untrusted"),
        (json!({ "exp": null }), "claims"),
        (json!({ "sub": null }), "claims"),
        (json!({ "roles": 7 }), "claims"),
    ] {
        let mut claims = claims("acme");
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        assert_eq!(
            reason(&authenticator, &pair.sign(&claims)).await,
            expected,
            "{change}"
        );
    }
}

#[tokio::test]
async fn a_token_signed_by_another_key_is_refused() {
    let authenticator = authenticator(vec![tenant("acme", ed25519().keys(), false)]);
    assert_eq!(
        reason(&authenticator, &ed25519().sign(&claims("acme"))).await,
        "signature"
    );
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let authenticator = authenticator(vec![tenant("acme", rsa().keys(), false)]);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!(
        "{}.{}.",
        encode(&json!({ "alg": "none", "typ": "JWT" })),
        encode(&claims("acme"))
    );
    assert_eq!(reason(&authenticator, &token).await, "malformed");
}

#[tokio::test]
async fn a_public_key_used_as_a_shared_secret_is_refused() {
    let pair = rsa();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("rsa".into());
    for secret in [
        pair.public.to_string(),
        pair.public["n"].as_str().unwrap().to_owned(),
    ] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims("acme"), &key).unwrap();
        assert_eq!(reason(&authenticator, &token).await, "algorithm");
    }
}

#[tokio::test]
async fn organizations_that_share_an_issuer_do_not_speak_for_each_other() {
    let (acme, globex) = (ed25519(), ed25519());
    let authenticator = authenticator(vec![
        tenant("acme", acme.keys(), false),
        tenant("globex", globex.keys(), false),
    ]);
    assert_eq!(
        reason(&authenticator, &acme.sign(&claims("globex"))).await,
        "signature"
    );
    let own = authenticator
        .authenticate(&globex.sign(&claims("globex")), None)
        .await
        .unwrap();
    assert_eq!(own.tenant.config.organization, "globex");
}

#[tokio::test]
async fn a_token_is_refused_where_the_path_names_another_organization() {
    let pair = ed25519();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
    let token = pair.sign(&claims("acme"));
    assert!(
        authenticator
            .authenticate(&token, Some("acme"))
            .await
            .is_ok()
    );
    let error = authenticator
        .authenticate(&token, Some("globex"))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "another_organization");
    assert_eq!(
        error.to_string(),
        AuthError::Untrusted.to_string(),
        "the answer must not tell whether the organization exists"
    );
}

#[tokio::test]
async fn a_suspended_organization_is_refused_by_its_own_error() {
    let pair = ed25519();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), true)]);
    assert_eq!(
        reason(&authenticator, &pair.sign(&claims("acme"))).await,
        "suspended"
    );
}

#[tokio::test]
async fn a_remembered_token_is_forgotten_when_the_configuration_changes() {
    let pair = ed25519();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
    let token = pair.sign(&claims("acme"));
    authenticator.authenticate(&token, None).await.unwrap();
    authenticator
        .tenants
        .put(tenant("acme", ed25519().keys(), false));
    assert_eq!(reason(&authenticator, &token).await, "signature");
}

/// Serves key sets one after the other, the last one for ever, and counts the requests.
async fn key_server(documents: Vec<String>) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let served = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = served.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let turn = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let document = &documents[turn.min(documents.len() - 1)];
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                document.len()
            );
            let _ = stream
                .write_all(format!("{head}{document}").as_bytes())
                .await;
        }
    });
    (url, served)
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_wait() {
    let pair = ed25519();
    let (url, served) = key_server(vec![json!({ "keys": [pair.public] }).to_string()]).await;
    let authenticator = authenticator(vec![tenant("acme", IssuerKeys::JwksUri(url), false)]);
    let tokens: Vec<_> = (0..20)
        .map(|user| {
            let mut claims = claims("acme");
            claims["sub"] = format!("user-{user}").into();
            pair.sign(&claims)
        })
        .collect();
    let all = tokens
        .iter()
        .map(|token| authenticator.authenticate(token, None));
    for caller in futures::future::join_all(all).await {
        caller.expect("a valid token is refused");
    }
    assert_eq!(
        served.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "the key set was fetched more than once"
    );
}

#[tokio::test]
async fn an_unknown_key_is_looked_up_once_and_not_again_within_the_minute() {
    let pair = ed25519();
    let (url, served) = key_server(vec![json!({ "keys": [] }).to_string()]).await;
    let authenticator = authenticator(vec![tenant("acme", IssuerKeys::JwksUri(url), false)]);
    for _ in 0..3 {
        assert_eq!(
            reason(&authenticator, &pair.sign(&claims("acme"))).await,
            "unknown_key"
        );
    }
    assert_eq!(
        served.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "unknown keys make us ask the issuer again and again"
    );
}

#[tokio::test]
async fn an_issuer_that_is_away_is_an_error_of_its_own() {
    let unreachable = IssuerKeys::JwksUri("http://127.0.0.1:1/keys".into());
    let authenticator = authenticator(vec![tenant("acme", unreachable, false)]);
    assert_eq!(
        reason(&authenticator, &ed25519().sign(&claims("acme"))).await,
        "keys_unavailable"
    );
}

/// Serves one key set, but only once it is told to. The first receiver learns of the request.
async fn hesitant_key_server(
    document: String,
) -> (
    String,
    tokio::sync::oneshot::Receiver<()>,
    tokio::sync::oneshot::Sender<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (asked, is_asked) = tokio::sync::oneshot::channel();
    let (answer, may_answer) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        asked.send(()).unwrap();
        may_answer.await.unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            document.len()
        );
        let answer = format!("{head}{document}");
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    (url, is_asked, answer)
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_keep_the_keys_from_the_others() {
    let pair = ed25519();
    let document = json!({ "keys": [pair.public] }).to_string();
    let (url, is_asked, answer) = hesitant_key_server(document).await;
    let authenticator = authenticator(vec![tenant("acme", IssuerKeys::JwksUri(url), false)]);
    let forged = ed25519().sign(&claims("acme"));
    let leaving = {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { authenticator.authenticate(&forged, None).await })
    };
    is_asked.await.unwrap();
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    answer.send(()).unwrap();
    let caller = authenticator
        .authenticate(&pair.sign(&claims("acme")), None)
        .await;
    caller.expect("whoever hangs up during the fetch must not lock the organization out");
}

#[tokio::test]
async fn keys_that_could_not_be_had_at_first_are_had_within_seconds() {
    let pair = ed25519();
    let documents = vec![
        "not a key set".into(),
        json!({ "keys": [pair.public] }).to_string(),
    ];
    let (url, _) = key_server(documents).await;
    let authenticator = authenticator(vec![tenant("acme", IssuerKeys::JwksUri(url), false)]);
    let token = pair.sign(&claims("acme"));
    assert_eq!(reason(&authenticator, &token).await, "keys_unavailable");
    let started = std::time::Instant::now();
    while let Err(error) = authenticator.authenticate(&token, None).await {
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "still {} after {waited:?}",
            error.reason()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_key_of_an_unknown_kind_does_not_spoil_the_others() {
    let pair = ed25519();
    let keys = json!({ "keys": [
        { "kty": "EC", "crv": "secp256k1", "kid": "a", "x": "AA", "y": "AA" },
        { "kty": "OKP", "crv": "Ed448", "kid": "b", "x": "AA" },
        { "kty": "new", "kid": 7 },
        pair.public,
    ]});
    let keys = IssuerKeys::Inline(keys.to_string());
    let authenticator = authenticator(vec![tenant("acme", keys, false)]);
    let caller = authenticator
        .authenticate(&pair.sign(&claims("acme")), None)
        .await;
    caller.expect("the issuer's other keys must not matter");
}

#[tokio::test]
async fn a_token_with_extensions_that_must_be_understood_is_refused() {
    let pair = ed25519();
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false)]);
    let mut header = Header::new(pair.algorithm);
    header.kid = Some("ed".into());
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &claims("acme"), &pair.private).unwrap();
    assert_eq!(reason(&authenticator, &token).await, "malformed");
}
