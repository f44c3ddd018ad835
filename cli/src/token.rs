//! `agentapi token`: a bearer token of the development issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentapi_crds::duration;
use agentapi_gateway::auth::DevelopmentIssuer;
use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::development_key::DevelopmentKey;
use crate::failure::Failure;
use crate::output;

/// Whom the token speaks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Organization that the token is for
    #[arg(long, visible_alias = "organization", value_name = "NAME")]
    org: String,
    /// User that it speaks for
    #[arg(long, value_name = "ID")]
    user: String,
    /// A role of the user, for example admin; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How long the token is valid, for example 30m
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = ttl)]
    ttl: Duration,
}

/// Prints the token.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        org,
        user,
        roles,
        ttl,
    } = arguments;
    output::line(&issue(
        &DevelopmentKey::of_this_user()?,
        &org,
        &user,
        &roles,
        ttl,
    )?)
}

/// A token (RFC 7519) that the embedded mode on this machine accepts for
/// organizations without an issuer of their own.
pub(crate) fn issue(
    key: &DevelopmentKey,
    organization: &str,
    user: &str,
    roles: &[String],
    ttl: Duration,
) -> Result<String, Failure> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let claims = json!({
        "iss": DevelopmentIssuer::ISSUER,
        "aud": DevelopmentIssuer::AUDIENCE,
        DevelopmentIssuer::USER_CLAIM: user,
        DevelopmentIssuer::ORGANIZATION_CLAIM: organization,
        DevelopmentIssuer::ROLES_CLAIM: roles,
        "iat": now,
        "exp": now.saturating_add(ttl.as_secs()),
    });
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(DevelopmentIssuer::KEY_ID.to_owned());
    jsonwebtoken::encode(&header, &claims, &key.signing).map_err(|error| {
        Failure::new("the token cannot be signed", "agentapi token --help").because(error)
    })
}

fn ttl(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(ttl) if ttl >= Duration::from_secs(1) => Ok(ttl),
        Ok(_) => Err("a token is valid for a second at least".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
