//! Key pairs, tokens and organizations for tests of who is let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentapi_crds::tenant_config::{
    ClaimPaths, EgressConfig, EgressDestination, IdentityConfig, IssuerConfig, IssuerKeys,
    TenantConfig,
};
use async_trait::async_trait;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Authenticator, Issuer};
use crate::domain::prompts::Prompts;
use crate::store::{
    ApiKey, ApiKeyStore, Created, HashedApiKey, IdempotencyKey, Page, Paged, StoreError, TenantId,
};
use crate::tenants::test_config::config;
use crate::tenants::{Tenant, Tenants};
use crate::upstream::{Dialer, EgressPolicy, HttpClient};

pub(super) const ISSUER: &str = "https://issuer.test";

/// A key pair: what signs, and the public key as a JWK.
pub(super) struct Pair {
    pub(super) algorithm: Algorithm,
    pub(super) private: EncodingKey,
    pub(super) public: Value,
}

pub(super) fn rsa() -> Pair {
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

pub(super) fn ecdsa() -> Pair {
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

pub(super) fn ed25519() -> Pair {
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

pub(super) fn pem(label: &str, der: &[u8]) -> String {
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

pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

pub(super) fn claims(organization: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": ["agentapi"], "sub": "alice", "org_id": organization, "roles": ["user"],
        "iat": now(), "exp": now() + 600,
    })
}

impl Pair {
    pub(super) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.public["kid"].as_str().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }

    pub(super) fn keys(&self) -> IssuerKeys {
        IssuerKeys::Inline(json!({ "keys": [self.public] }).to_string())
    }
}

pub(super) fn tenant(organization: &str, keys: IssuerKeys, suspended: bool) -> Tenant {
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
        login: None,
    };
    let config = TenantConfig {
        suspended,
        identity: IdentityConfig {
            issuers: vec![issuer.clone()],
            service_accounts: false,
        },
        ..config(organization)
    };
    let http = loopback_client();
    Tenant {
        id: TenantId(config.tenant_id),
        issuers: vec![Arc::new(Issuer::compile(&issuer, &http).unwrap())],
        config: Arc::new(config),
        prompts: Prompts::default(),
        servers: BTreeMap::new(),
        event_sinks: vec![],
        http,
    }
}

/// Fetches from this machine.
pub(super) fn loopback_client() -> HttpClient {
    let loopback = EgressConfig {
        destination: EgressDestination::Cidr("127.0.0.0/8".parse().unwrap()),
        ports: vec![],
    };
    let dialer = Dialer::new(vec!["127.0.0.0/8".parse().unwrap()]);
    HttpClient::new(&dialer, EgressPolicy::declared(&[loopback]), None).unwrap()
}

pub(super) fn authenticator(tenants: Vec<Tenant>) -> Authenticator {
    let all = Tenants::default();
    for tenant in tenants {
        all.put(tenant);
    }
    Authenticator::new(all, Arc::new(NoApiKeys), None)
}

/// Has no API key.
pub(super) struct NoApiKeys;

#[async_trait]
impl ApiKeyStore for NoApiKeys {
    async fn create_api_key(
        &self,
        _: TenantId,
        new: HashedApiKey,
        _: u32,
        _: Option<&IdempotencyKey>,
    ) -> Result<Created<ApiKey>, StoreError> {
        Ok(Created::Now(new.key))
    }

    async fn api_key(&self, _: TenantId, _: Uuid) -> Result<Option<HashedApiKey>, StoreError> {
        Ok(None)
    }

    async fn list_api_keys(
        &self,
        _: TenantId,
        _: Option<&str>,
        _: Page,
    ) -> Result<Paged<ApiKey>, StoreError> {
        Ok(Paged {
            items: vec![],
            next: None,
        })
    }

    async fn revoke_api_key(
        &self,
        _: TenantId,
        _: Option<&str>,
        _: Uuid,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

pub(super) async fn reason(authenticator: &Authenticator, token: &str) -> &'static str {
    match authenticator.authenticate(token, None).await {
        Ok(caller) => panic!(
            "let in as {} of {}",
            caller.user, caller.tenant.config.organization
        ),
        Err(error) => error.reason(),
    }
}
