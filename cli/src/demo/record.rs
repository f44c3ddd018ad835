//! The record of the tour, read back and verified.

use http::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::progress::detail;
use super::tour::{HOME, OTHER, SEE_LOG, Step, Users, failed, text_of};
use crate::failure::Failure;

/// Most records read of one organization.
const RECORDS: usize = 200;

/// Lists what both organizations' records hold of the tour, and has their chains verified.
pub(super) async fn audit(users: &Users) -> Step<()> {
    let home = chains(
        &users.home,
        HOME,
        &["session.create", "mcp.connect", "tool.call"],
    )
    .await?;
    let other = chains(&users.other, OTHER, &["access.denied"]).await?;
    Ok((
        (),
        format!("{home} and {other} records, every hash verified"),
    ))
}

/// The number of an organization's records; fails if an expected action is missing or a hash is wrong.
async fn chains(client: &Client, organization: &str, expected: &[&str]) -> Result<String, Failure> {
    let listed = ask(client, &format!("/v1/audit?limit={RECORDS}")).await?;
    let newest_first: Vec<_> = listed["items"].as_array().into_iter().flatten().collect();
    for record in newest_first.iter().rev() {
        let [action, outcome, resource] =
            ["action", "outcome", "resource"].map(|field| text_of(&record[field]));
        detail(&format!(
            "{organization:<7} {action:<15} {outcome:<8} {resource}"
        ));
    }
    let missing = expected.iter().find(|expected| {
        !newest_first
            .iter()
            .any(|record| record["action"] == json!(expected))
    });
    if let Some(missing) = missing {
        let what = format!("the record of {organization} holds no {missing}");
        return Err(Failure::new(what, SEE_LOG));
    }
    let verified = ask(client, "/v1/audit/verify").await?;
    let none = |problems: &str| verified[problems].as_array().is_some_and(Vec::is_empty);
    match none("problems") && none("checkpointProblems") {
        true => Ok(format!("{} of {organization}", verified["records"])),
        false => {
            let what = format!(
                "the record of {organization} does not verify: {} {}",
                verified["problems"], verified["checkpointProblems"]
            );
            Err(Failure::new(what, SEE_LOG))
        }
    }
}

async fn ask(client: &Client, path: &str) -> Result<Value, Failure> {
    let answer = client.get(path).await.map_err(failed)?;
    answer.expect(StatusCode::OK).map_err(failed)
}
