//! Whose tokens speak for an organization.

use agentapi_crds::Organization;
use agentapi_crds::tenant_config as document;

use super::names::organization_value;
use crate::problem::Problem;

pub(super) fn check_identity(
    organization: &Organization,
    problems: &mut Vec<Problem>,
) -> document::IdentityConfig {
    let identity = &organization.spec.identity;
    let mut issuers = Vec::new();
    for (index, issuer) in identity.issuers.iter().enumerate() {
        let field = format!("spec.identity.issuers[{index}]");
        let keys = match (&issuer.jwks_uri, &issuer.jwks) {
            (Some(uri), None) => document::IssuerKeys::JwksUri(uri.clone()),
            (None, None) => document::IssuerKeys::Discovery,
            (None, Some(jwks)) => {
                if let Err(message) = check_jwks(jwks) {
                    problems.push(Problem::invalid(format!("{field}.jwks"), message));
                }
                document::IssuerKeys::Inline(jwks.clone())
            }
            (Some(_), Some(_)) => {
                problems.push(Problem::invalid(
                    field,
                    "jwksUri and jwks exclude each other",
                ));
                continue;
            }
        };
        issuers.push(document::IssuerConfig {
            issuer: issuer.issuer.clone(),
            keys,
            audiences: issuer.audiences.clone(),
            claims: document::ClaimPaths {
                user: issuer.claims.user.clone(),
                organization: issuer.claims.organization.clone(),
                roles: issuer.claims.roles.clone(),
            },
            organization_value: organization_value(organization, issuer).to_owned(),
            login: issuer.login.as_ref().map(|login| document::LoginConfig {
                client_id: login.client_id.clone(),
            }),
        });
    }
    document::IdentityConfig {
        issuers,
        service_accounts: identity.service_accounts,
    }
}

/// Members of a JSON Web Key that only a private or symmetric key has (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Checks the shape of a key set (RFC 7517 section 5) and that it holds public keys only.
fn check_jwks(text: &str) -> Result<(), String> {
    let jwks: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let keys = jwks["keys"]
        .as_array()
        .filter(|keys| !keys.is_empty())
        .ok_or("needs a member `keys` with at least one key")?;
    let private = keys.iter().any(|key| {
        PRIVATE_MEMBERS
            .iter()
            .any(|member| key.get(member).is_some())
    });
    if private {
        return Err("holds a private or symmetric key: replace that key everywhere, and put public keys only here".to_owned());
    }
    Ok(())
}
