use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use aws_lc_rs::hmac;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::Dispatcher;
use super::testing::{context, record};
use crate::audit::Recorder;
use crate::domain::audit::{Action, Outcome};
use crate::domain::events::Retries;
use crate::store::{self, DeadLetter, Page, Store, TenantId, WriterId};
use crate::telemetry::Metrics;
use crate::tenants::test_config::{SIGNING_SECRET, SinkSecrets, config, environment, event_sink};
use crate::tenants::{Environment, Tenants, compile};
use crate::upstream::Dialer;
use crate::upstream::test_server::{Seen, TestServer};

const PAUSE: Duration = Duration::from_millis(20);

/// An organization with a sink, its record, and a dispatcher.
struct Setting {
    store: Arc<dyn Store>,
    recorder: Recorder,
    tenant: TenantId,
    _stop: DropGuard,
    _dispatcher: JoinHandle<()>,
}

impl Setting {
    /// With a sink at `url`, tried twice.
    async fn new(url: String) -> Self {
        let store = store::open(&SecretString::from("sqlite::memory:"))
            .await
            .unwrap();
        let loopback = "127.0.0.0/8".parse().unwrap();
        let mut acme = config("acme");
        acme.event_sinks = vec![event_sink(url)];
        acme.egress = vec![EgressConfig {
            destination: EgressDestination::Cidr(loopback),
            ports: vec![],
        }];
        let environment = Environment {
            dialer: Dialer::new(vec![loopback]),
            secrets: Arc::new(SinkSecrets),
            ..environment(None)
        };
        let tenants = Tenants::default();
        let acme = compile(acme, None, &environment).unwrap();
        let tenant = acme.id;
        tenants.put(acme);
        let policies = Arc::new(tenants.clone());
        let recorder = Recorder::with_policies(store.clone(), policies, Metrics::new())
            .await
            .unwrap();
        let retries = Retries::new(vec![PAUSE]);
        let dispatcher = Dispatcher::new(store.clone(), tenants, retries, Metrics::new());
        let stop = CancellationToken::new();
        Self {
            store,
            recorder,
            tenant,
            _dispatcher: tokio::spawn(dispatcher.run(stop.clone())),
            _stop: stop.drop_guard(),
        }
    }

    /// An act on the record.
    async fn act(&self, action: Action) {
        let context = context();
        let act = self
            .recorder
            .intent(self.tenant, &context, action, "thing".to_owned())
            .await;
        act.unwrap().finish(Outcome::Success, None).await.unwrap();
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let page = Page {
            limit: 10,
            after: None,
        };
        let letters = self.store.list_dead_letters(self.tenant, page).await;
        letters.unwrap().items
    }

    async fn dead_letter(&self) -> DeadLetter {
        eventually("there must be a dead letter", async || {
            self.dead_letters().await.pop()
        })
        .await
    }
}

fn answer(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

async fn receiver(status: StatusCode) -> TestServer {
    TestServer::start(move |_| async move { answer(status) }).await
}

/// What `look` finds, once it does.
async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let mut ticks = interval(Duration::from_millis(10));
    for _ in 0..3000 {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
    }
    panic!("{what}, and is not after half a minute");
}

/// The first so many requests, once they are there.
async fn received(receiver: &TestServer, count: usize) -> Vec<Seen> {
    eventually("the receiver must be asked", async || {
        Some(receiver.seen()).filter(|seen| seen.len() >= count)
    })
    .await
}

fn url(receiver: &TestServer) -> String {
    format!("http://{}/hook", receiver.address)
}

#[tokio::test]
async fn what_is_on_the_record_is_sent() {
    let receiver = receiver(StatusCode::OK).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    let body = received(&receiver, 1).await[0].json();
    assert_eq!(
        (
            &body["type"],
            &body["data"]["outcome"],
            &body["data"]["actor"]
        ),
        (&"tool.call".into(), &"success".into(), &"alice".into())
    );
}

/// As a receiver verifies it: Standard Webhooks 1.0, without this program's own code.
#[tokio::test]
async fn a_receiver_can_verify_what_it_is_sent() {
    let receiver = receiver(StatusCode::OK).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    let seen = &received(&receiver, 1).await[0];
    let field = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let content = format!(
        "{}.{}.{}",
        field("webhook-id"),
        field("webhook-timestamp"),
        seen.text
    );
    let secret = SIGNING_SECRET.strip_prefix("whsec_").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(secret).unwrap());
    let signature = field("webhook-signature");
    let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap());
    hmac::verify(&key, content.as_bytes(), &signature.unwrap()).unwrap();
}

#[tokio::test]
async fn a_repetition_can_be_told_by_its_id() {
    let receiver = receiver(StatusCode::SERVICE_UNAVAILABLE).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    let seen = received(&receiver, 2).await;
    assert_eq!(seen[0].headers["webhook-id"], seen[1].headers["webhook-id"]);
}

#[tokio::test]
async fn what_keeps_failing_becomes_a_dead_letter_that_says_why() {
    let receiver = receiver(StatusCode::SERVICE_UNAVAILABLE).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    let letter = setting.dead_letter().await;
    assert_eq!(
        (letter.attempts, letter.last_error.as_str()),
        (2, "the receiver answered 503 Service Unavailable")
    );
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_is_not_asked_again() {
    let receiver = receiver(StatusCode::GONE).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    assert_eq!(setting.dead_letter().await.attempts, 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = receiver(StatusCode::OK).await;
    let target = url(&elsewhere);
    let receiver = TestServer::start(move |_| {
        let mut answer = answer(StatusCode::TEMPORARY_REDIRECT);
        answer
            .headers_mut()
            .insert("location", target.parse().unwrap());
        async move { answer }
    })
    .await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    setting.dead_letter().await;
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_is_sent_once_more() {
    let receiver = receiver(StatusCode::GONE).await;
    let setting = Setting::new(url(&receiver)).await;
    setting.act(Action::ToolCall).await;
    let letter = setting.dead_letter().await;
    let replayed = setting
        .store
        .replay_dead_letter(setting.tenant, letter.id)
        .await;
    assert!(replayed.unwrap());
    let seen = received(&receiver, 2).await;
    assert_eq!(seen[0].headers["webhook-id"], seen[1].headers["webhook-id"]);
}

#[tokio::test]
async fn a_sink_that_must_not_be_dialled_is_tried_once() {
    let setting = Setting::new("https://192.0.2.1/hook".to_owned()).await;
    setting.act(Action::ToolCall).await;
    let letter = setting.dead_letter().await;
    assert_eq!(letter.attempts, 1, "{letter:?}");
}

/// Every address that the platform does not dial, in every form that a URL may write it.
#[tokio::test]
async fn no_packet_reaches_what_the_platform_forbids() {
    let forbidden = receiver(StatusCode::OK).await;
    let port = forbidden.address.port();
    let hosts = [
        "127.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ];
    let environment = Environment {
        secrets: Arc::new(SinkSecrets),
        ..environment(None)
    };
    for host in hosts {
        let mut acme = config("acme");
        acme.event_sinks = vec![event_sink(format!("http://{host}:{port}/"))];
        acme.egress = ["0.0.0.0/0", "::/0"]
            .map(|range| EgressConfig {
                destination: EgressDestination::Cidr(range.parse().unwrap()),
                ports: vec![],
            })
            .to_vec();
        let tenant = compile(acme, None, &environment).unwrap();
        let record = record(WriterId(Uuid::now_v7()));
        let sent = tenant.event_sinks[0].send(Uuid::now_v7(), &record).await;
        assert!(sent.is_err(), "{host}");
    }
    assert_eq!(forbidden.seen().len(), 0);
}
