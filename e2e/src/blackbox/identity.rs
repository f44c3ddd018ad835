//! Who is let in.

use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use serde_json::json;

use super::{ALICE, Suite, expect_status, setting};
use crate::issuer::{AUDIENCE, Issuer};

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let stranger = Issuer::new("https://stranger.example")?;
    let past = jiff::Timestamp::now().as_second() - 3600;
    let issuer = suite.issuer;
    let alice =
        |overrides| issuer.token_with(ALICE.organization, ALICE.user, ALICE.roles, overrides);
    let mut refused = vec![
        ("a token that is none", "not-a-token".to_owned()),
        (
            "an expired token",
            alice(json!({ "iat": past - 60, "exp": past }))?,
        ),
        (
            "a token for another audience",
            alice(json!({ "aud": format!("not-{AUDIENCE}") }))?,
        ),
        (
            "a token of a foreign issuer",
            stranger.token(ALICE.organization, ALICE.user, ALICE.roles)?,
        ),
        (
            "a token for an organization that does not exist",
            issuer.token("nowhere", ALICE.user, ALICE.roles)?,
        ),
    ];
    let forged = Issuer::new(&issuer.url)?;
    refused.push((
        "a token signed by another key",
        forged.token(ALICE.organization, ALICE.user, ALICE.roles)?,
    ));

    let answer = suite
        .send("no token", &[], Method::GET, "/v1/sessions", None)
        .await?;
    expect_status("no token", &answer, StatusCode::UNAUTHORIZED)?;
    for (step, token) in refused {
        let authorization = format!("Bearer {token}");
        let answer = suite
            .send(
                step,
                &[("authorization", &authorization)],
                Method::GET,
                "/v1/sessions",
                None,
            )
            .await?;
        expect_status(step, &answer, StatusCode::UNAUTHORIZED)?;
        ensure!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{step}: no WWW-Authenticate challenge"
        );
    }

    let document = format!(
        "/.well-known/oauth-protected-resource/o/{}/mcp",
        setting::FIRST
    );
    let answer = suite
        .send(
            "the organization's resource metadata",
            &[],
            Method::GET,
            &document,
            None,
        )
        .await?;
    expect_status("resource metadata", &answer, StatusCode::OK)
}
