use std::sync::atomic::{AtomicUsize, Ordering};

use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use tokio::net::TcpListener;

use super::*;

fn declared(range: &str) -> EgressPolicy {
    let destination = EgressDestination::Cidr(range.parse().unwrap());
    EgressPolicy::declared(&[EgressConfig {
        destination,
        ports: vec![],
    }])
}

/// Answers with the next list of addresses each time it is asked; the last one stays.
struct Changing {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Changing {
    async fn resolve(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[turn.min(self.answers.len() - 1)].clone())
    }
}

fn changing(answers: &[&[&str]]) -> Arc<Changing> {
    let answers = answers
        .iter()
        .map(|answer| {
            answer
                .iter()
                .map(|address| address.parse().unwrap())
                .collect()
        })
        .collect();
    Arc::new(Changing {
        answers,
        asked: AtomicUsize::new(0),
    })
}

/// A listener on loopback, and how to see that nobody knocked.
async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Connects by itself and sees that this is the first connection to arrive.
async fn assert_nobody_knocked(listener: &TcpListener) {
    let own = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (_, first) = listener.accept().await.unwrap();
    assert_eq!(
        first,
        own.local_addr().unwrap(),
        "a refused destination was dialled"
    );
}

#[tokio::test]
async fn a_permitted_destination_is_dialled() {
    let (_listener, port) = listener().await;
    let dialer = Dialer::new(vec!["127.0.0.0/8".parse().unwrap()]);
    dialer
        .dial(&declared("127.0.0.0/8"), "127.0.0.1", port)
        .await
        .unwrap();
}

#[tokio::test]
async fn no_form_of_loopback_is_dialled_without_the_platforms_permission() {
    let (listener, port) = listener().await;
    let dialer = Dialer::new(vec![]);
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "127.1",
        "0",
    ] {
        let error = dialer
            .dial(&declared("0.0.0.0/0"), host, port)
            .await
            .unwrap_err();
        assert!(
            matches!(error, DialError::Refused(_) | DialError::Resolve { .. }),
            "{host}: {error:?}"
        );
    }
    assert_nobody_knocked(&listener).await;
}

#[tokio::test]
async fn one_forbidden_address_among_others_refuses_the_name() {
    let (listener, port) = listener().await;
    let resolver = changing(&[&["8.8.8.8", "127.0.0.1"]]);
    let dialer = Dialer::with_resolver(vec![], resolver);
    let error = dialer
        .dial(&declared("0.0.0.0/0"), "mixed.example", port)
        .await
        .unwrap_err();
    assert!(
        matches!(error, DialError::Refused(Refusal::Denied { .. })),
        "{error:?}"
    );
    assert_nobody_knocked(&listener).await;
}

#[tokio::test]
async fn a_name_is_resolved_once_so_that_rebinding_changes_nothing() {
    let (_listener, port) = listener().await;
    let resolver = changing(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let dialer = Dialer::with_resolver(vec!["127.0.0.0/8".parse().unwrap()], resolver.clone());
    dialer
        .dial(&declared("127.0.0.0/8"), "rebinding.example", port)
        .await
        .unwrap();
    assert_eq!(
        resolver.asked.load(Ordering::SeqCst),
        1,
        "the name was looked up more than once"
    );
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    let (listener, port) = listener().await;
    drop(listener);
    let dialer = Dialer::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let error = dialer
        .dial(&declared("127.0.0.0/8"), "127.0.0.1", port)
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
}
