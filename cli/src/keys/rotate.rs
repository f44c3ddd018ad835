//! `agentapi keys rotate`.

use agentapi_gateway::encryption::KeyList;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::ring::{Ring, unusable};
use crate::failure::Failure;
use crate::output;

const RESTART: &str = "put this into the gateways' configuration (in the chart: the key encryptionKeys of the \
     Secret agentapi-gateway) and restart all of them: kubectl -n agentapi-system rollout restart deployment/agentapi-gateway";

/// Which step of a rotation.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    ring: Ring,
    /// Put the last key first, so that it encrypts, once all gateways have it
    #[arg(long, conflicts_with = "remove")]
    activate: bool,
    /// Take a key out that seals nothing any more
    #[arg(long, value_name = "ID")]
    remove: Option<String>,
}

/// Prints the keys of the next step on standard output, and what to do with them on standard error.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut keys = KeyList::parse(&arguments.ring.text()?).map_err(unusable)?;
    let then = match (&arguments.remove, arguments.activate) {
        (Some(id), _) => remove(&mut keys, id)?,
        (None, true) => activate(&mut keys)?,
        (None, false) => add(&mut keys)?,
    };
    output::line(keys.text().expose_secret())?;
    for line in then {
        eprintln!("{line}");
    }
    Ok(())
}

fn add(keys: &mut KeyList) -> Result<Vec<String>, Failure> {
    let is_first = keys.ids().is_empty();
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let id = keys.add(&today).map_err(|error| {
        Failure::new("no key can be made", "agentapi keys rotate again").because(error)
    })?;
    Ok(match is_first {
        true => vec![
            format!("made the first key, {id}"),
            format!("next: {RESTART}"),
        ],
        false => vec![
            format!("added the key {id}, which decrypts and does not encrypt yet"),
            format!("next: {RESTART}"),
            "then: agentapi keys rotate --activate".to_owned(),
        ],
    })
}

fn activate(keys: &mut KeyList) -> Result<Vec<String>, Failure> {
    if keys.ids().len() < 2 {
        let what = "there is no second key that could encrypt in place of the first one";
        return Err(Failure::invalid_input(what, "agentapi keys rotate"));
    }
    keys.activate_last();
    Ok(vec![
        format!("the key {} encrypts, the others decrypt", keys.ids()[0]),
        format!("next: {RESTART}"),
        "then: agentapi keys rewrap".to_owned(),
    ])
}

fn remove(keys: &mut KeyList, id: &str) -> Result<Vec<String>, Failure> {
    let ids = keys.ids().join(", ");
    if keys.ids().first() == Some(&id) {
        let what = format!("the key {id} is the one that encrypts");
        return Err(Failure::invalid_input(what, "agentapi keys rotate"));
    }
    if !keys.remove(id) {
        let what = format!("there is no key {id}");
        let next = format!("agentapi keys rotate --remove with one of {ids}");
        return Err(Failure::invalid_input(what, next));
    }
    Ok(vec![
        format!("without the key {id}; a gateway does not start while anything is sealed with it"),
        format!("next: {RESTART}"),
    ])
}
