//! What the tour does with the running gateway, over real HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::client::{Answer, Client, ClientError};
use super::mcp::Mcp;
use super::progress::detail;
use crate::development_key::DevelopmentKey;
use crate::failure::Failure;
use crate::token;

/// Organization in which the tour acts.
pub(super) const HOME: &str = "acme";
/// User who acts there.
pub(super) const USER: &str = "alice";
/// Organization that must see nothing of it.
pub(super) const OTHER: &str = "globex";
pub(super) const OTHER_USER: &str = "mallory";
/// Role that may read the record.
const READER: &str = "admin";
/// How long the tour's tokens are valid.
const TTL: Duration = Duration::from_secs(3600);
/// Notes that the tour imports.
const NOTES: [&str; 5] = [
    "Milk: two bottles",
    "Paint: the blue one",
    "Call: Zoë, about the roof",
    "Idea: fewer meetings",
    "Trip: by train",
];

/// What a step gives to the next ones, and what it tells.
pub(super) type Step<T> = Result<(T, String), Failure>;

/// The two users of the tour.
pub(super) struct Users {
    pub(super) home: Client,
    pub(super) other: Client,
}

/// A session of the first user.
pub(super) struct Session {
    path: String,
    pub(super) mcp: Mcp,
}

/// Tokens for one user of each organization.
pub(super) fn tokens(base: &str, key: &DevelopmentKey) -> Step<Users> {
    let client = |organization, user, roles: &[String]| {
        let token = token::issue(key, organization, user, roles, TTL)?;
        Ok::<_, Failure>(Client::new(base, token))
    };
    let users = Users {
        home: client(HOME, USER, &[READER.to_owned()])?,
        other: client(OTHER, OTHER_USER, &[READER.to_owned()])?,
    };
    Ok((
        users,
        format!("{USER}@{HOME} ({READER}), {OTHER_USER}@{OTHER}"),
    ))
}

/// An agent session, and an MCP session on its endpoint.
pub(super) async fn session(users: &Users) -> Step<Session> {
    let created = users
        .home
        .post("/v1/sessions", &json!({"workspace": "demo"}))
        .await
        .map_err(failed)?;
    let created = created.expect(StatusCode::CREATED).map_err(failed)?;
    let id = created["id"].as_str().unwrap_or_default();
    let path = format!("/v1/sessions/{id}");
    let mcp = Mcp::connect(&users.home, &format!("{path}/mcp"))
        .await
        .map_err(failed)?;
    Ok((Session { path, mcp }, id.to_owned()))
}

/// The tools of all servers in one list.
pub(super) async fn tools(session: &Session, kinds: &BTreeMap<String, &'static str>) -> Step<()> {
    let listed = session
        .mcp
        .request("tools/list", json!({}))
        .await
        .map_err(failed)?;
    let names = listed["tools"].as_array().into_iter().flatten();
    let prefixes = names
        .filter_map(|tool| tool["name"].as_str()?.split_once("__"))
        .map(|(server, _)| server);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for prefix in prefixes {
        *counts.entry(prefix).or_default() += 1;
    }
    let failures = &listed["_meta"]["agentapi.dev/failures"];
    if let Some(missing) = kinds
        .keys()
        .find(|server| !counts.contains_key(server.as_str()))
    {
        let what = format!(
            "the server {missing} lists no tools {}",
            reason(failures, missing)
        );
        return Err(Failure::new(
            what,
            "agentapi sample clock --token development-only-clock-token",
        ));
    }
    let found = counts.iter().map(|(server, count)| {
        let kind = kinds.get(*server).copied().unwrap_or("other");
        format!("{count} from {server} ({kind})")
    });
    Ok(((), found.collect::<Vec<_>>().join(", ")))
}

/// A tool call whose progress is told as it arrives.
pub(super) async fn call(session: &Session) -> Step<()> {
    let mut updates = 0;
    let result = session
        .mcp
        .call("notes__import_notes", json!({"lines": NOTES}), |progress| {
            updates += 1;
            let message = progress["message"].as_str().unwrap_or_default();
            // Both are numbers that JSON may write as 1 or as 1.0.
            let [done, total] =
                ["progress", "total"].map(|field| progress[field].as_f64().unwrap_or_default());
            detail(&format!("{done} of {total}: {message}"));
        });
    let result = result.await.map_err(failed)?;
    let notes = result["structuredContent"]["notes"]
        .as_array()
        .map_or(0, Vec::len);
    if notes != NOTES.len() || updates == 0 {
        let what = format!(
            "{notes} of {} notes were imported, with {updates} progress updates",
            NOTES.len()
        );
        return Err(Failure::new(what, SEE_LOG));
    }
    Ok((
        (),
        format!("notes__import_notes: {notes} notes, {updates} progress updates"),
    ))
}

/// The prompt that the agent is given, and where its parts come from.
pub(super) async fn prompt(users: &Users, session: &Session) -> Step<()> {
    let preview = users
        .home
        .post("/v1/prompts/preview", &json!({"workspace": "demo"}))
        .await
        .map_err(failed)?;
    let preview = preview.expect(StatusCode::OK).map_err(failed)?;
    let text = preview["text"].as_str().unwrap_or_default();
    if text.is_empty() || !session.mcp.instructions.contains(text) {
        let what = "the composed prompt is not what the MCP session was given as instructions";
        return Err(Failure::new(what, SEE_LOG));
    }
    for line in text.lines().filter(|line| !line.is_empty()) {
        detail(line);
    }
    let applied = preview["parts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|part| part["applied"] == json!(true));
    let parts =
        applied.map(|part| format!("{} ({})", text_of(&part["policy"]), text_of(&part["level"])));
    Ok(((), parts.collect::<Vec<_>>().join(" + ")))
}

/// A user of another organization finds nothing, exactly as if nothing were there.
pub(super) async fn isolation(users: &Users, session: &Session) -> Step<()> {
    let foreign = users.other.get(&session.path).await.map_err(failed)?;
    let unknown = users
        .other
        .get("/v1/sessions/01890000-0000-7000-8000-000000000000")
        .await
        .map_err(failed)?;
    if foreign.status != StatusCode::NOT_FOUND || shape(&foreign) != shape(&unknown) {
        let what = format!(
            "{OTHER_USER}@{OTHER} can tell {HOME}'s session from one that does not exist: {foreign}"
        );
        return Err(Failure::new(what, SEE_LOG));
    }
    let doors = [format!("{}/mcp", session.path), format!("/o/{HOME}/mcp")];
    for door in &doors {
        match Mcp::connect(&users.other, door).await {
            Err(ClientError::Unexpected { answer, .. }) => detail(&format!("{answer} at {door}")),
            Err(error) => return Err(failed(error)),
            Ok(_) => {
                let what = format!("{OTHER_USER}@{OTHER} can connect to {door}");
                return Err(Failure::new(what, SEE_LOG));
            }
        }
    }
    let found = format!(
        "{OTHER_USER}@{OTHER} gets {} for {HOME}'s session",
        foreign.status
    );
    Ok(((), found))
}

/// What to try when the gateway itself did something unexpected.
pub(super) const SEE_LOG: &str = "RUST_LOG=debug agentapi demo --once";

pub(super) fn failed(error: ClientError) -> Failure {
    Failure::new("the gateway did not do what was asked", SEE_LOG).because(error)
}

/// An answer without what differs between any two requests.
fn shape(answer: &Answer) -> (StatusCode, Value) {
    let mut body = answer.body.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("requestId");
    }
    (answer.status, body)
}

fn reason(failures: &Value, server: &str) -> String {
    let mut failures = failures.as_array().into_iter().flatten();
    let failure = failures.find(|failure| failure["server"] == json!(server));
    failure.map_or_else(String::new, |failure| {
        format!("({})", text_of(&failure["message"]))
    })
}

pub(super) fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
