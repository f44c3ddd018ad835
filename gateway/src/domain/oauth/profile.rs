//! What is particular about each named provider, by its own documentation.

use agentapi_crds::tenant_config::AuthorizationServer;

/// How a provider differs from the specifications, or narrows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Parameters of every authorization request.
    pub authorization: &'static [(&'static str, &'static str)],
    /// Asks for a refresh token, where it needs asking: this scope.
    pub offline_scope: OfflineScope,
    /// The parameter that names the resource a token is for; none where a request with it fails.
    pub resource_parameter: Option<&'static str>,
    /// Whether a used refresh token may be worth nothing afterwards.
    pub rotation: Rotation,
    /// What separates scopes in answers, besides spaces.
    pub commas_in_scopes: bool,
}

/// When `offline_access` is asked for (OpenID Connect Core 1.0, section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineScope {
    /// It is no scope of the provider.
    Never,
    /// Always.
    Always,
    /// If the provider's metadata lists it.
    IfListed,
}

/// Whether a used refresh token may be worth nothing afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The provider says that a refresh token can be used again.
    Never,
    /// It may be replaced at each use, so that using it twice may lose the grant.
    Possible,
}

/// Which `iss` an authorization response may have (RFC 9207).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRule {
    /// This one.
    Exact(String),
    /// That of any tenant of Microsoft Entra: the tenant was given by a name, and
    /// the issuer has its identifier.
    AnyAzureTenant,
}

const AZURE: &str = "https://login.microsoftonline.com/";
const AZURE_VERSION: &str = "/v2.0";

impl Profile {
    /// The profile of a provider.
    pub fn of(server: &AuthorizationServer) -> Self {
        match server {
            // Refresh tokens of GitHub Apps are replaced at each use; OAuth apps have none
            // ("Refreshing user access tokens", "Authorizing OAuth apps").
            AuthorizationServer::GitHub => Self {
                resource_parameter: None,
                offline_scope: OfflineScope::Never,
                commas_in_scopes: true,
                ..Self::standard()
            },
            // A refresh token comes with the first consent only, unless consent is asked
            // for again ("Using OAuth 2.0 for Web Server Applications").
            AuthorizationServer::Google => Self {
                authorization: &[("access_type", "offline"), ("prompt", "consent")],
                offline_scope: OfflineScope::Never,
                resource_parameter: None,
                rotation: Rotation::Never,
                ..Self::standard()
            },
            // "Refresh tokens aren't revoked when used to acquire new access tokens"; a
            // request with `resource` fails (AADSTS901002), as scopes name it.
            AuthorizationServer::Azure { .. } => Self {
                offline_scope: OfflineScope::Always,
                resource_parameter: None,
                rotation: Rotation::Never,
                ..Self::standard()
            },
            AuthorizationServer::Auth0 { .. } => Self {
                offline_scope: OfflineScope::Always,
                resource_parameter: Some("audience"),
                ..Self::standard()
            },
            AuthorizationServer::Oidc { .. } | AuthorizationServer::Mcp { .. } => Self::standard(),
        }
    }

    /// The profile of a server that does as the specifications say.
    pub fn plain() -> Self {
        Self::standard()
    }

    fn standard() -> Self {
        Self {
            authorization: &[],
            offline_scope: OfflineScope::IfListed,
            resource_parameter: Some("resource"),
            rotation: Rotation::Possible,
            commas_in_scopes: false,
        }
    }
}

impl IssuerRule {
    /// The rule for a tenant of Microsoft Entra.
    pub(super) fn of_azure(tenant: &str) -> Self {
        match uuid::Uuid::try_parse(tenant) {
            Ok(_) => Self::Exact(format!("{AZURE}{tenant}{AZURE_VERSION}")),
            // `common`, `organizations`, `consumers`, or a domain: documents and answers
            // name `{tenantid}` or the identifier.
            Err(_) => Self::AnyAzureTenant,
        }
    }

    /// Whether an issuer is meant, to the letter.
    pub fn allows(&self, issuer: &str) -> bool {
        match self {
            Self::Exact(expected) => issuer == expected,
            Self::AnyAzureTenant => {
                let tenant = issuer.strip_prefix(AZURE);
                let tenant = tenant.and_then(|rest| rest.strip_suffix(AZURE_VERSION));
                tenant.is_some_and(|tenant| {
                    tenant.len() == 36 && uuid::Uuid::try_parse(tenant).is_ok()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTOSO: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";

    #[test]
    fn an_entra_tenant_by_its_identifier_has_one_issuer() {
        let rule = IssuerRule::of_azure(CONTOSO);
        assert!(rule.allows(&format!("{AZURE}{CONTOSO}/v2.0")));
        assert!(!rule.allows(&format!("{AZURE}9122040d-6c67-4c5b-b112-36a304b66dad/v2.0")));
    }

    #[test]
    fn an_entra_tenant_by_its_name_has_the_issuer_of_some_tenant() {
        let rule = IssuerRule::of_azure("common");
        assert!(rule.allows(&format!("{AZURE}{CONTOSO}/v2.0")));
        for other in [
            "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(),
            format!("https://login.microsoftonline.com.evil.example/{CONTOSO}/v2.0"),
            format!("{AZURE}{CONTOSO}/v1.0"),
            format!("{AZURE}../{CONTOSO}/v2.0"),
        ] {
            assert!(!rule.allows(&other), "{other}");
        }
    }
}
