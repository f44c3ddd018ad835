//! Who administers an organization, and whose tokens speak for it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// Claim that names the user unless said otherwise (RFC 7519 section 4.1.2).
const DEFAULT_USER_CLAIM: &str = "sub";
/// Claim that names the organization unless said otherwise.
const DEFAULT_ORGANIZATION_CLAIM: &str = "org_id";
/// Claim that lists the roles unless said otherwise.
const DEFAULT_ROLES_CLAIM: &str = "roles";

fn default_user_claim() -> String {
    DEFAULT_USER_CLAIM.to_owned()
}

fn default_organization_claim() -> String {
    DEFAULT_ORGANIZATION_CLAIM.to_owned()
}

fn default_roles_claim() -> String {
    DEFAULT_ROLES_CLAIM.to_owned()
}

fn default_service_accounts() -> bool {
    true
}

/// An RBAC subject (rbac.authorization.k8s.io/v1).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[x_kube(validation = Rule::new(r#"!self.name.startsWith('system:')"#)
    .message("names that start with system: are Kubernetes' own and never administer or view an organization").field_path(".name").reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new(r#"(self.kind == 'ServiceAccount') == has(self.__namespace__)"#)
    .message("a ServiceAccount needs a namespace, a User or Group has none").field_path(".namespace"))]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// User, Group or ServiceAccount.
    pub kind: SubjectKind,
    /// Name of the user, group or service account. Names that start with system: are refused.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of a service account; for users and groups there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub namespace: Option<String>,
}

/// Kind of an RBAC subject.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum SubjectKind {
    /// A user of the cluster's authenticator.
    User,
    /// A group of the cluster's authenticator.
    Group,
    /// A service account.
    ServiceAccount,
}

/// Whose tokens speak for an organization.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Token issuers the organization trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["issuer".into()]))]
    pub issuers: Vec<Issuer>,
    /// Whether tokens with audience agentapi of service accounts in the organization's own namespace are accepted.
    #[serde(default = "default_service_accounts")]
    pub service_accounts: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            service_accounts: default_service_accounts(),
        }
    }
}

/// One issuer of JSON Web Tokens (OpenID Connect or OAuth 2.0).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"!(has(self.jwksUri) && has(self.jwks))"#)
    .message("at most one of jwksUri and jwks; without both the issuer's discovery document is asked").field_path(".jwks"))]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Exact value of the iss claim: an absolute http or https URL.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rules::issuer_url())]
    pub issuer: String,
    /// URL of the issuer's JSON Web Key Set (RFC 7517). Without this and jwks, the issuer's discovery document is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub jwks_uri: Option<String>,
    /// The JSON Web Key Set itself, as JSON text with public keys only. Excludes jwksUri.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 65536))]
    #[x_kube(validation = Rule::new(r#"self.matches('^\\s*[{]') && self.matches('"keys"\\s*:\\s*\\[')"#)
    .message("must be a JSON Web Key Set: a JSON object with an array of keys"))]
    #[x_kube(validation = Rule::new(r#"!self.matches('"(d|p|q|dp|dq|qi|oth|k)"\\s*:')"#)
    .message("must hold public keys only: it has a private or symmetric key parameter").reason(Reason::FieldValueForbidden))]
    pub jwks: Option<String>,
    /// Accepted values of the aud claim; a token needs one of them.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub audiences: Vec<String>,
    /// Where in a token's claims the user, organization and roles are found.
    #[serde(default)]
    pub claims: ClaimPaths,
    /// Value that the organization claim must have. Default: the organization's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub organization_value: Option<String>,
    /// How people log in at the issuer with a browser, to connect their accounts at upstream servers. Without it they present a token instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
}

/// How people log in at an issuer with a browser (OpenID Connect, authorization code with PKCE).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// Identifier of a public client at the issuer, whose one redirect URI is the gateway's public URL followed by /v1/oauth/login. Its ID tokens must carry the same claims as access tokens.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub client_id: String,
}

/// Dotted paths into a token's claims, for example app_metadata.org_id.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimPaths {
    /// Path of the user's identifier. Default sub.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::claim_path())]
    pub user: String,
    /// Path of the organization's identifier. Default org_id.
    #[serde(default = "default_organization_claim")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::claim_path())]
    pub organization: String,
    /// Path of the roles, a string or a list of strings. Default roles.
    #[serde(default = "default_roles_claim")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::claim_path())]
    pub roles: String,
}

impl Default for ClaimPaths {
    fn default() -> Self {
        Self {
            user: default_user_claim(),
            organization: default_organization_claim(),
            roles: default_roles_claim(),
        }
    }
}
