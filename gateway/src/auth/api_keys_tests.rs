use jiff::SignedDuration;
use secrecy::ExposeSecret;

use super::*;
use crate::auth::api_key::NewApiKey;
use crate::auth::test_keys::{ed25519, tenant};
use crate::store::{self, ApiKey, Store};

/// An organization on a real store in memory.
struct Setting {
    store: Arc<dyn Store>,
    tenants: Tenants,
    tenant: TenantId,
    keys: ApiKeys,
}

async fn setting() -> Setting {
    let store = store::open(&"sqlite::memory:".into()).await.unwrap();
    let tenants = Tenants::default();
    let acme = tenant("acme", ed25519().keys(), false);
    let id = acme.id;
    tenants.put(acme);
    Setting {
        keys: ApiKeys::new(store.clone()),
        store,
        tenants,
        tenant: id,
    }
}

impl Setting {
    /// A key of alice, an administrator; returns its id and text.
    async fn key(&self, scopes: &[&str], lives: SignedDuration) -> (Uuid, String) {
        let new = NewApiKey::random("acme", self.tenant).unwrap();
        let key = ApiKey {
            id: new.id,
            user: "alice".into(),
            name: "test".into(),
            roles: vec!["admin".into()],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            created_at: Timestamp::now(),
            expires_at: Timestamp::now() + lives,
        };
        let hashed = HashedApiKey {
            key,
            hash: new.hash,
        };
        let kept = self.store.create_api_key(self.tenant, hashed, 10, None);
        kept.await.unwrap();
        (new.id, new.text.expose_secret().to_owned())
    }

    async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        self.keys.verify(&self.tenants, token).await
    }

    /// The one text of every refusal.
    async fn refusal(&self, token: &str) -> String {
        let error = self.verify(token).await.expect_err(token);
        assert!(matches!(error, AuthError::ApiKey), "{error:?}");
        error.to_string()
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test]
async fn a_key_acts_as_its_user_with_the_rights_of_its_scopes_only() {
    let setting = setting().await;
    let (_, token) = setting.key(&["sessions:read"], HOUR).await;
    let caller = setting.verify(&token).await.unwrap();
    assert_eq!(&*caller.user, "alice");
    let held: Vec<_> = Right::ALL
        .into_iter()
        .filter(|right| caller.may(*right))
        .collect();
    assert_eq!(held, [Right::SessionsRead]);
}

#[tokio::test]
async fn a_scope_that_no_key_may_have_gives_nothing_even_if_it_is_stored() {
    let setting = setting().await;
    let (_, token) = setting
        .key(&["api-keys:manage", "api-keys:administer"], HOUR)
        .await;
    let caller = setting.verify(&token).await.unwrap();
    assert!(Right::ALL.into_iter().all(|right| !caller.may(right)));
}

#[tokio::test]
async fn a_scope_beyond_the_roles_of_its_user_gives_nothing() {
    let setting = setting().await;
    let stored = HashedApiKey {
        key: ApiKey {
            id: Uuid::now_v7(),
            user: "bob".into(),
            name: String::new(),
            roles: vec![],
            scopes: vec!["audit:read".into()],
            created_at: Timestamp::now(),
            expires_at: Timestamp::now() + HOUR,
        },
        hash: [0; 32],
    };
    let tenant = setting.tenants.get("acme").unwrap();
    assert!(!caller(tenant, &stored).may(Right::AuditRead));
}

#[tokio::test]
async fn wrong_unknown_expired_and_foreign_keys_are_refused_alike() {
    let setting = setting().await;
    let (_, token) = setting.key(&["mcp"], HOUR).await;
    let (_, expired) = setting.key(&["mcp"], SignedDuration::from_secs(-1)).await;
    let last = if token.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &token[..token.len() - 1]);
    let unknown = NewApiKey::random("acme", setting.tenant).unwrap().text;
    let foreign = token.replace("_acme_", "_globex_");
    let reference = setting.refusal(unknown.expose_secret()).await;
    for token in [
        wrong.as_str(),
        &expired,
        &foreign,
        "aak_",
        "aak_acme_x_y",
        &token.to_uppercase().replace("AAK_ACME", "aak_acme"),
    ] {
        assert_eq!(setting.refusal(token).await, reference, "{token}");
    }
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_here_and_within_seconds_elsewhere() {
    let setting = setting().await;
    let elsewhere = ApiKeys::new(setting.store.clone());
    let (id, token) = setting.key(&["mcp"], HOUR).await;
    for keys in [&setting.keys, &elsewhere] {
        keys.verify(&setting.tenants, &token).await.unwrap();
    }
    assert!(
        setting
            .store
            .revoke_api_key(setting.tenant, None, id)
            .await
            .unwrap()
    );
    setting.keys.forget(setting.tenant, id).await;
    setting.refusal(&token).await;
    let started = std::time::Instant::now();
    while elsewhere.verify(&setting.tenants, &token).await.is_ok() {
        assert!(
            started.elapsed() < FRESH * 3,
            "a revoked key is still believed"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_key_does_not_outlive_its_organization_under_the_same_name() {
    let setting = setting().await;
    let (_, token) = setting.key(&["mcp"], HOUR).await;
    setting.verify(&token).await.unwrap();
    let mut again = tenant("acme", ed25519().keys(), false);
    again.id = TenantId(Uuid::from_u128(7));
    setting.tenants.put(again);
    setting.refusal(&token).await;
}
