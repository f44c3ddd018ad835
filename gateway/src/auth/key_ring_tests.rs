use agentapi_crds::tenant_config::IssuerKeys;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::key_source::IssuerDocuments;
use crate::auth::test_keys::{authenticator, claims, ed25519, loopback_client, reason, tenant};

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

/// Ages that a test can wait for; what is not given is as in service.
const HASTY: Ages = Ages {
    interval: Duration::ZERO,
    first_interval: Duration::ZERO,
    ..AGES
};

/// A ring of the keys at a URL.
fn ring(url: String, ages: Ages) -> KeyRing {
    let source = IssuerDocuments {
        issuer: String::new(),
        jwks_uri: Some(url),
        http: loopback_client(),
    };
    KeyRing::aging(Arc::new(source), ages)
}

fn key_set(ids: &[&str]) -> String {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| {
            let mut public = ed25519().public;
            public["kid"] = (*id).into();
            public
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

/// Whether a ring has a key, and why not.
async fn lookup(ring: &KeyRing, id: &str) -> Result<(), &'static str> {
    let find = |keys: &KeySet| keys.find(Some(id), Algorithm::EdDSA).map(drop);
    let found = ring.with_keys(Some(id), Algorithm::EdDSA, find).await;
    found.map_err(|error| error.reason())
}

/// Waits until a background fetch has changed the answer.
async fn becomes(ring: &KeyRing, id: &str, expected: Result<(), &'static str>) {
    let started = Instant::now();
    while lookup(ring, id).await != expected {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{id} is not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_first_names_it_and_the_old_one_counts_as_long_as_it_is_published()
 {
    let documents = vec![
        key_set(&["old"]),
        key_set(&["old", "new"]),
        key_set(&["new"]),
    ];
    let (url, served) = key_server(documents).await;
    let ring = ring(url, HASTY);
    assert_eq!(lookup(&ring, "old").await, Ok(()));
    assert_eq!(lookup(&ring, "new").await, Ok(()));
    assert_eq!(lookup(&ring, "old").await, Ok(()));
    assert_eq!(served.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(lookup(&ring, "unknown").await, Err("unknown_key"));
    assert_eq!(
        lookup(&ring, "old").await,
        Err("unknown_key"),
        "it was withdrawn"
    );
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_noticed_without_any_unknown_one() {
    let (url, _) = key_server(vec![key_set(&["old", "new"]), key_set(&["new"])]).await;
    let ages = Ages {
        refresh: Duration::ZERO,
        ..HASTY
    };
    let ring = ring(url, ages);
    assert_eq!(lookup(&ring, "old").await, Ok(()));
    becomes(&ring, "old", Err("unknown_key")).await;
}

#[tokio::test]
async fn keys_at_hand_count_while_their_issuer_is_away() {
    let (url, served) = key_server(vec![key_set(&["old"]), "the issuer is broken".into()]).await;
    let ages = Ages {
        refresh: Duration::ZERO,
        ..HASTY
    };
    let ring = ring(url, ages);
    assert_eq!(lookup(&ring, "old").await, Ok(()));
    while served.load(std::sync::atomic::Ordering::SeqCst) < 3 {
        assert_eq!(
            lookup(&ring, "old").await,
            Ok(()),
            "an outage must not lock callers out"
        );
        assert_eq!(lookup(&ring, "unknown").await, Err("unknown_key"));
    }
}

#[tokio::test]
async fn keys_that_could_not_be_fetched_for_too_long_count_no_more() {
    let (url, _) = key_server(vec![key_set(&["old"]), "the issuer is broken".into()]).await;
    let ages = Ages {
        most: Duration::from_millis(200),
        ..HASTY
    };
    let ring = ring(url, ages);
    assert_eq!(lookup(&ring, "old").await, Ok(()));
    becomes(&ring, "old", Err("keys_unavailable")).await;
}
