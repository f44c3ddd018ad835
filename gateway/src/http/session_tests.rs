//! Sessions that are shared, watched and inspected, over real HTTP.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::serve::testing::{Answer, Running, running};

async fn session(gateway: &Running, token: &str) -> String {
    let made = gateway
        .send(Method::POST, "/v1/sessions", Some(token), "{}")
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    format!("/v1/sessions/{}", made.json()["id"].as_str().unwrap())
}

async fn share(gateway: &Running, owner: &str, session: &str, user: &str, role: &str) -> Answer {
    let path = format!("{session}/members/{user}");
    let body = json!({ "role": role }).to_string();
    gateway.send(Method::PUT, &path, Some(owner), body).await
}

/// A gateway, a session of alice's that bob works in and vera sees, and their tokens.
struct Shared {
    gateway: Running,
    session: String,
    alice: String,
    bob: String,
    vera: String,
}

async fn shared() -> Shared {
    let gateway = running().await;
    let [alice, bob, vera] = ["alice", "bob", "vera"].map(|user| gateway.token("acme", user, &[]));
    let session = session(&gateway, &alice).await;
    for (user, role) in [("bob", "participant"), ("vera", "viewer")] {
        let shared = share(&gateway, &alice, &session, user, role).await;
        assert_eq!(shared.status, StatusCode::NO_CONTENT, "{:?}", shared.body);
    }
    Shared {
        gateway,
        session,
        alice,
        bob,
        vera,
    }
}

#[tokio::test]
async fn a_session_is_nobody_elses_until_it_is_shared_and_again_afterwards() {
    let gateway = running().await;
    let [alice, bob] = ["alice", "bob"].map(|user| gateway.token("acme", user, &[]));
    let session = session(&gateway, &alice).await;
    assert_eq!(
        gateway.get(&session, &bob).await.status,
        StatusCode::NOT_FOUND
    );
    share(&gateway, &alice, &session, "bob", "participant").await;
    assert_eq!(
        gateway.get(&session, &bob).await.json()["role"],
        "participant"
    );
    let member = format!("{session}/members/bob");
    let gone = gateway
        .send(Method::DELETE, &member, Some(&alice), "")
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        gateway.get(&session, &bob).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn only_the_owner_changes_shares_and_ends_a_session() {
    let Shared {
        gateway,
        session,
        bob,
        vera,
        ..
    } = shared().await;
    for (name, token) in [("bob", &bob), ("vera", &vera)] {
        let change = json!({ "metadata": {} }).to_string();
        let changed = gateway
            .send(Method::PATCH, &session, Some(token), change)
            .await;
        let shared = share(&gateway, token, &session, "mallory", "viewer").await;
        let ended = gateway
            .send(Method::DELETE, &session, Some(token), "")
            .await;
        for refused in [changed, shared, ended] {
            assert_eq!(
                refused.status,
                StatusCode::FORBIDDEN,
                "{name}: {:?}",
                refused.body
            );
        }
    }
}

#[tokio::test]
async fn a_participant_works_in_a_session_and_a_viewer_does_not() {
    let Shared {
        gateway,
        session,
        bob,
        vera,
        ..
    } = shared().await;
    let path = format!("{session}/mcp");
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } },
    });
    let accept = ("accept", "application/json, text/event-stream");
    let worked = gateway.post_with(&path, &bob, accept, &initialize).await;
    assert_eq!(worked.status, StatusCode::OK, "{:?}", worked.body);
    let refused = gateway.post_with(&path, &vera, accept, &initialize).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{:?}", refused.body);
}

#[tokio::test]
async fn a_member_sees_who_shares_a_session_and_may_leave_it() {
    let Shared {
        gateway,
        session,
        vera,
        ..
    } = shared().await;
    let members = gateway
        .get(&format!("{session}/members"), &vera)
        .await
        .json();
    let expected = json!({ "items": [
        { "user": "bob", "role": "participant" },
        { "user": "vera", "role": "viewer" },
    ]});
    assert_eq!(members, expected);
    let herself = format!("{session}/members/vera");
    let left = gateway
        .send(Method::DELETE, &herself, Some(&vera), "")
        .await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    let others = format!("{session}/members/bob");
    let refused = gateway.send(Method::DELETE, &others, Some(&vera), "").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "she is out");
}

#[tokio::test]
async fn an_administrator_sees_that_a_session_is_there_but_not_what_happens_in_it() {
    let Shared {
        gateway,
        session,
        bob,
        ..
    } = shared().await;
    let ada = gateway.token("acme", "ada", &["admin"]);
    let seen = gateway.get(&session, &ada).await;
    assert_eq!(
        (seen.status, &seen.json()["user"]),
        (StatusCode::OK, &json!("alice"))
    );
    let all = gateway.get("/v1/sessions?owner=anyone", &ada).await.json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
    for inside in ["events", "members", "mcp"] {
        let path = format!("{session}/{inside}");
        let method = if inside == "mcp" {
            Method::POST
        } else {
            Method::GET
        };
        let refused = gateway.send(method, &path, Some(&ada), "{}").await;
        assert_eq!(
            refused.status,
            StatusCode::NOT_FOUND,
            "{inside}: {:?}",
            refused.body
        );
    }
    let refused = gateway.get("/v1/sessions?owner=anyone", &bob).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

/// An open stream of events.
struct Watching {
    body: Incoming,
    text: String,
}

async fn watch(gateway: &Running, session: &str, token: &str, after: Option<u64>) -> Watching {
    let uri = format!("http://{}{session}/events", gateway.addresses.public);
    let mut request = Request::get(uri).header("authorization", format!("Bearer {token}"));
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client
        .request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Watching {
        body: answer.into_body(),
        text: String::new(),
    }
}

impl Watching {
    /// The next event: its id, if it has one, and its data. `None` at the end of the stream.
    async fn next(&mut self) -> Option<(Option<u64>, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.next().map(|value| value.trim().to_owned())
                };
                let (id, data) = (field("id:"), field("data:"));
                let id = id.map(|id| id.parse().unwrap());
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Some((id, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame());
            let frame = frame.await.expect("no event within a minute")?.unwrap();
            let data = frame.into_data().expect("the stream has no trailers");
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn kind(&mut self) -> String {
        let (_, event) = self.next().await.expect("the stream ended");
        event["kind"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_stream_shows_what_was_what_comes_and_the_end() {
    let Shared {
        gateway,
        session,
        alice,
        vera,
        ..
    } = shared().await;
    let mut stream = watch(&gateway, &session, &vera, None).await;
    for expected in ["session.created", "member.set", "member.set"] {
        assert_eq!(stream.kind().await, expected);
    }
    let change = json!({ "metadata": { "a": 1 } }).to_string();
    gateway
        .send(Method::PATCH, &session, Some(&alice), change)
        .await;
    assert_eq!(stream.kind().await, "session.updated");
    gateway
        .send(Method::DELETE, &session, Some(&alice), "")
        .await;
    assert_eq!(stream.kind().await, "session.ended");
    assert!(stream.next().await.is_none(), "the stream must end");
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let Shared {
        gateway,
        session,
        bob,
        ..
    } = shared().await;
    let mut stream = watch(&gateway, &session, &bob, Some(2)).await;
    let (id, event) = stream.next().await.expect("the stream ended");
    assert_eq!((id, &event["data"]["user"]), (Some(3), &json!("vera")));
}

#[tokio::test]
async fn whoever_is_taken_out_of_a_session_watches_it_no_longer() {
    let Shared {
        gateway,
        session,
        alice,
        vera,
        ..
    } = shared().await;
    let mut stream = watch(&gateway, &session, &vera, Some(3)).await;
    let member = format!("{session}/members/vera");
    gateway
        .send(Method::DELETE, &member, Some(&alice), "")
        .await;
    assert_eq!(stream.kind().await, "session.ended");
    assert!(stream.next().await.is_none(), "the stream must end");
}

#[tokio::test]
async fn a_user_has_few_streams_at_once_and_gets_their_places_back() {
    let Shared {
        gateway,
        session,
        alice,
        ..
    } = shared().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(watch(&gateway, &session, &alice, None).await);
    }
    let path = format!("{session}/events");
    let refused = gateway.get(&path, &alice).await;
    assert_eq!(
        refused.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{:?}",
        refused.body
    );
    drop(open);
    let started = std::time::Instant::now();
    let uri = format!("http://{}{path}", gateway.addresses.public);
    loop {
        let request = Request::get(&uri).header("authorization", format!("Bearer {alice}"));
        let client: Client<_, Full<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let answer = client
            .request(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        if answer.status() == StatusCode::OK {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no place comes back"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn shutdown_ends_the_streams() {
    let Shared {
        gateway,
        session,
        vera,
        ..
    } = shared().await;
    let mut stream = watch(&gateway, &session, &vera, Some(3)).await;
    gateway.shutdown.cancel();
    assert!(stream.next().await.is_none(), "the stream must end");
}
