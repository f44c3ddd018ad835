//! What a whole gateway does when more is under way than there is room for.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::testing::{Running, running, running_with};
use crate::tenants::test_config::config;

/// Requests that are under way for as long as these connections are kept: the
/// gateway waits for their bodies.
async fn under_way(gateway: &Running, token: &str, requests: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..requests {
        let mut connection = TcpStream::connect(gateway.addresses.public).await.unwrap();
        let head = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    connections
}

/// Asks until the answer has a status: what was sent before may not have arrived.
async fn eventually(gateway: &Running, token: &str, wanted: StatusCode) {
    let begun = Instant::now();
    loop {
        let status = gateway.get("/v1/sessions", token).await.status;
        if status == wanted {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the answer stays {status} instead of {wanted}"
        );
    }
}

#[tokio::test]
async fn an_organization_has_no_more_under_way_than_it_may_and_others_go_on() {
    let gateway = running().await;
    let mut acme = config("acme");
    acme.concurrency.requests = 2;
    gateway.installer.install(acme).unwrap();
    let alice = gateway.token("acme", "alice", &[]);
    let held = under_way(&gateway, &alice, 2).await;
    let bob = gateway.token("acme", "bob", &["admin"]);
    eventually(&gateway, &bob, StatusCode::TOO_MANY_REQUESTS).await;
    let refused = gateway.get("/v1/sessions", &bob).await;
    assert_eq!(refused.headers["retry-after"], "1");
    let problem = refused.problem();
    assert_eq!(
        (&problem["code"], &problem["retryable"]),
        (&"concurrency_limit".into(), &true.into())
    );
    let other = gateway.token("globex", "alice", &[]);
    assert_eq!(
        gateway.get("/v1/sessions", &other).await.status,
        StatusCode::OK
    );
    drop(held);
    eventually(&gateway, &bob, StatusCode::OK).await;
}

#[tokio::test]
async fn a_flood_of_one_organization_is_shed_and_everybody_else_is_served() {
    let gateway = running_with(&[("AGENTAPI_REQUESTS_UNDER_WAY", "32")]).await;
    let alice = gateway.token("acme", "alice", &[]);
    let held = under_way(&gateway, &alice, 64).await;
    let bob = gateway.token("acme", "bob", &[]);
    eventually(&gateway, &bob, StatusCode::SERVICE_UNAVAILABLE).await;
    let refused = gateway.get("/v1/sessions", &bob).await;
    assert_eq!(refused.headers["retry-after"], "1");
    let problem = refused.problem();
    assert_eq!(
        (&problem["code"], &problem["retryable"]),
        (&"overloaded".into(), &true.into())
    );
    for (who, organization, roles) in [
        ("another organization", "globex", &[][..]),
        ("the organization's administrator", "acme", &["admin"]),
    ] {
        let token = gateway.token(organization, "carol", roles);
        let status = gateway.get("/v1/sessions", &token).await.status;
        assert_eq!(status, StatusCode::OK, "{who}");
    }
    for path in ["/live", "/ready"] {
        assert_eq!(gateway.admin(path).await.status, StatusCode::OK, "{path}");
    }
    let metrics = String::from_utf8(gateway.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(
        metrics.contains(r#"agentapi_requests_shed_total{place="seat"}"#),
        "{metrics}"
    );
    drop(held);
    eventually(&gateway, &bob, StatusCode::OK).await;
}

#[tokio::test]
async fn an_organization_has_no_more_streams_than_it_may() {
    let gateway = running().await;
    let mut acme = config("acme");
    acme.concurrency.streams = 1;
    gateway.installer.install(acme).unwrap();
    let mut held = Vec::new();
    for (user, wanted) in [("alice", "HTTP/1.1 200"), ("bob", "HTTP/1.1 429")] {
        let token = gateway.token("acme", user, &[]);
        let created = gateway
            .send(Method::POST, "/v1/sessions", Some(&token), "{}")
            .await
            .json();
        let id = created["id"].as_str().unwrap();
        let mut stream = TcpStream::connect(gateway.addresses.public).await.unwrap();
        let head = format!(
            "GET /v1/sessions/{id}/events HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut begin)
            .await
            .unwrap();
        assert_eq!(std::str::from_utf8(&begin).unwrap(), wanted, "{user}");
        held.push(stream);
    }
}
