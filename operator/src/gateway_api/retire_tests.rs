use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::sync::watch;

use super::*;
use crate::gateway_api::Replicas;

fn replica(ready: Option<bool>) -> Replica {
    Replica {
        name: "a".to_owned(),
        address: "10.0.0.1:9090".to_owned(),
        ready,
    }
}

fn silent() -> CallError {
    CallError::Unreachable("nobody".into())
}

#[test]
fn a_ready_replica_is_waited_for_however_long_it_takes() {
    assert!(is_waited_for(&replica(Some(true)), &silent(), 10 * SILENCE));
}

#[test]
fn a_replica_that_answers_otherwise_is_waited_for() {
    let slow = CallError::Timeout(SILENCE);
    assert!(is_waited_for(&replica(None), &slow, 10 * SILENCE));
}

#[test]
fn a_silent_replica_that_nobody_calls_ready_is_waited_for_a_while() {
    for ready in [None, Some(false)] {
        assert!(is_waited_for(&replica(ready), &silent(), SILENCE / 2));
        assert!(!is_waited_for(&replica(ready), &silent(), SILENCE));
    }
}

/// A replica that refuses the first `refusals` times; returns its address and how often it was asked.
async fn gateway(refusals: usize) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move || async move {
        if count.fetch_add(1, Ordering::SeqCst) < refusals {
            let refusal = json!({ "code": "still_served", "message": "it is still served" });
            return (StatusCode::CONFLICT, Json(refusal)).into_response();
        }
        let retired: Response = Json(json!({ "endedSessions": 0 })).into_response();
        retired
    };
    let routes = Router::new().route(
        "/internal/v1/organizations/{organization}/retirement",
        put(answer),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, asked)
}

/// The operator's view of replicas at these addresses, with a token.
fn operator(addresses: &[String]) -> Operator {
    let replicas = watch::Sender::new(Replicas::at(addresses)).subscribe();
    let mut token = NamedTempFile::new().unwrap();
    token.write_all(b"token\n").unwrap();
    Operator {
        inner: Inner::new(token.path().to_owned(), replicas),
        _token: token,
    }
}

struct Operator {
    inner: Inner,
    _token: NamedTempFile,
}

fn acme(waited: Duration) -> Retirement {
    Retirement {
        organization: "acme".to_owned(),
        uid: "1".to_owned(),
        tenant: Uuid::nil(),
        waited,
    }
}

#[tokio::test]
async fn a_deletion_waits_for_every_replica_and_says_which_and_why() {
    let ((willing, _), (unwilling, _)) = (gateway(0).await, gateway(1).await);
    let operator = operator(&[willing, unwilling.clone()]);
    let waits = retire(&operator.inner, &acme(Duration::ZERO)).await;
    assert_eq!(
        waits,
        [Waiting::Replica {
            name: unwilling,
            why: "it is still served (still_served)".to_owned()
        }]
    );
    assert_eq!(retire(&operator.inner, &acme(Duration::ZERO)).await, []);
}

#[tokio::test]
async fn replicas_that_have_acknowledged_are_not_asked_again() {
    let (address, asked) = gateway(0).await;
    let operator = operator(&[address]);
    for _ in 0..3 {
        assert_eq!(retire(&operator.inner, &acme(Duration::ZERO)).await, []);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_gateway_that_is_away_holds_a_deletion_up_for_a_while_only() {
    let gone = operator(&["127.0.0.1:1".to_owned()]);
    let waits = retire(&gone.inner, &acme(Duration::ZERO)).await;
    assert!(
        matches!(waits.as_slice(), [Waiting::Replica { .. }]),
        "{waits:?}"
    );
    assert_eq!(retire(&gone.inner, &acme(SILENCE)).await, []);
}

#[tokio::test]
async fn a_gateway_without_replicas_is_waited_for_a_while() {
    let none = operator(&[]);
    assert_eq!(
        retire(&none.inner, &acme(Duration::ZERO)).await,
        [Waiting::NoReplica]
    );
    assert_eq!(retire(&none.inner, &acme(SILENCE)).await, []);
}

#[tokio::test]
async fn no_more_organizations_are_retired_at_one_time_than_may_be() {
    let (address, _) = gateway(0).await;
    let operator = operator(&[address]);
    let _busy = operator.inner.retirements.try_acquire_many(4).unwrap();
    assert_eq!(
        retire(&operator.inner, &acme(Duration::ZERO)).await,
        [Waiting::Turn]
    );
}
