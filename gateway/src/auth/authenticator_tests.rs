use agentapi_crds::tenant_config::IssuerKeys;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::auth::test_keys::{
    Pair, authenticator, claims, ecdsa, ed25519, loopback_client, now, reason, rsa, tenant,
};

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

/// An organization that trusts two issuers.
fn with_two_issuers(first: &Pair, second: &Pair) -> Tenant {
    let mut acme = tenant("acme", first.keys(), false);
    let mut other = tenant("acme", second.keys(), false).issuers[0]
        .config
        .clone();
    other.issuer = "https://second.test".into();
    let http = loopback_client();
    acme.issuers
        .push(Arc::new(Issuer::compile(&other, &http).unwrap()));
    acme
}

#[tokio::test]
async fn each_of_an_organizations_issuers_speaks_by_its_own_keys_only() {
    let (first, second) = (ed25519(), ed25519());
    let authenticator = authenticator(vec![with_two_issuers(&first, &second)]);
    let mut of_second = claims("acme");
    of_second["iss"] = "https://second.test".into();
    for token in [first.sign(&claims("acme")), second.sign(&of_second)] {
        authenticator
            .authenticate(&token, None)
            .await
            .expect("a trusted issuer's token");
    }
    for forged in [second.sign(&claims("acme")), first.sign(&of_second)] {
        assert_eq!(reason(&authenticator, &forged).await, "signature");
    }
}

#[tokio::test]
async fn a_token_that_two_organizations_claim_speaks_for_neither() {
    let pair = ed25519();
    let mut twin = tenant("globex", pair.keys(), false);
    let mut claimed = twin.issuers[0].config.clone();
    claimed.organization_value = "acme".into();
    twin.issuers = vec![Arc::new(
        Issuer::compile(&claimed, &loopback_client()).unwrap(),
    )];
    let authenticator = authenticator(vec![tenant("acme", pair.keys(), false), twin]);
    assert_eq!(
        reason(&authenticator, &pair.sign(&claims("acme"))).await,
        "untrusted"
    );
}
