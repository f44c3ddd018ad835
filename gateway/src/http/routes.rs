//! Every route of the public surface, and the right it needs: the one table that
//! the router is built from, so that no route is without a row.

use agentapi_crds::tenant_config::RequestClass;
use axum::routing::MethodRouter;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::{
    AppState, api_keys, audit, audit_erasure, audit_export, browser, connections, dead_letters,
    mcp_server_test, mcp_servers, offboarding, openapi, prompts, session_events, session_members,
    sessions, well_known,
};
use crate::domain::access::Right;
use crate::mcp::handlers as mcp;

/// One route.
pub(super) struct Endpoint {
    pub(super) method: HttpMethod,
    /// In axum's form: `{name}` is a parameter.
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// Whether a browser without a token is shown a page instead.
    pub(super) has_page: bool,
    /// What answers, with its operation in the OpenAPI document.
    pub(super) described: Described,
}

type Described = fn() -> UtoipaMethodRouter<AppState>;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, without a token.
    Public,
    /// Everybody, without a token: who it is, the browser's own login says.
    Browser,
    /// Callers who hold the right; their requests count in the class.
    Needs(Right, RequestClass),
}

/// A row of the table and the description of its handler do not agree.
#[derive(Debug, thiserror::Error)]
#[error(
    "the handler of {method} {path} describes itself as something else: correct its utoipa attribute, or its row in the table of routes"
)]
pub struct MisdescribedRoute {
    method: &'static str,
    path: &'static str,
}

impl Endpoint {
    /// What answers, without anything before it.
    ///
    /// # Errors
    /// When the handler describes itself as another route than this one.
    pub(super) fn handler(&self) -> Result<MethodRouter<AppState>, MisdescribedRoute> {
        let (_, paths, router) = (self.described)();
        match paths.get_path_operation(self.path, self.method.clone()) {
            Some(_) => Ok(router),
            None => Err(MisdescribedRoute {
                method: method_name(&self.method),
                path: self.path,
            }),
        }
    }

    const fn api(
        method: HttpMethod,
        path: &'static str,
        right: Right,
        described: Described,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Needs(right, RequestClass::Api),
            has_page: false,
            described,
        }
    }

    const fn mcp(method: HttpMethod, path: &'static str, described: Described) -> Self {
        Self {
            method,
            path,
            access: Access::Needs(Right::Mcp, RequestClass::Mcp),
            has_page: false,
            described,
        }
    }

    const fn public(path: &'static str, described: Described) -> Self {
        Self {
            method: HttpMethod::Get,
            path,
            access: Access::Public,
            has_page: false,
            described,
        }
    }

    const fn browser(method: HttpMethod, path: &'static str, described: Described) -> Self {
        Self {
            method,
            path,
            access: Access::Browser,
            has_page: false,
            described,
        }
    }

    const fn or_page(self) -> Self {
        Self {
            has_page: true,
            ..self
        }
    }
}

/// The method as it is in requests.
pub(super) const fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Put => "PUT",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}

#[rustfmt::skip]
pub(super) static TABLE: [Endpoint; 58] = [
    Endpoint::api(HttpMethod::Post,   "/v1/sessions",        Right::SessionsWrite,  || routes!(sessions::create)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions",        Right::SessionsRead,   || routes!(sessions::list)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions/{id}",   Right::SessionsRead,   || routes!(sessions::read)),
    Endpoint::api(HttpMethod::Patch,  "/v1/sessions/{id}",   Right::SessionsWrite,  || routes!(sessions::update)),
    Endpoint::api(HttpMethod::Delete, "/v1/sessions/{id}",   Right::SessionsWrite,  || routes!(sessions::end)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions/{id}/events",         Right::SessionsRead,  || routes!(session_events::stream_events)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions/{id}/members",        Right::SessionsRead,  || routes!(session_members::list_members)),
    Endpoint::api(HttpMethod::Put,    "/v1/sessions/{id}/members/{user}", Right::SessionsWrite, || routes!(session_members::put_member)),
    Endpoint::api(HttpMethod::Delete, "/v1/sessions/{id}/members/{user}", Right::SessionsWrite, || routes!(session_members::remove_member)),
    Endpoint::api(HttpMethod::Post,   "/v1/mcp/servers",           Right::McpServersManage, || routes!(mcp_servers::create_server)),
    Endpoint::api(HttpMethod::Get,    "/v1/mcp/servers",           Right::McpServersRead,   || routes!(mcp_servers::list_servers)),
    Endpoint::api(HttpMethod::Get,    "/v1/mcp/servers/{id}",      Right::McpServersRead,   || routes!(mcp_servers::read_server)),
    Endpoint::api(HttpMethod::Put,    "/v1/mcp/servers/{id}",      Right::McpServersManage, || routes!(mcp_servers::replace_server)),
    Endpoint::api(HttpMethod::Delete, "/v1/mcp/servers/{id}",      Right::McpServersManage, || routes!(mcp_servers::remove_server)),
    Endpoint::api(HttpMethod::Post,   "/v1/mcp/servers/{id}/test", Right::McpServersManage, || routes!(mcp_server_test::test_server)),
    Endpoint::api(HttpMethod::Post,   "/v1/prompts/preview", Right::PromptsPreview, || routes!(prompts::preview)),
    Endpoint::api(HttpMethod::Post,   "/v1/api-keys",        Right::ApiKeysManage,  || routes!(api_keys::create_key)),
    Endpoint::api(HttpMethod::Get,    "/v1/api-keys",        Right::ApiKeysManage,  || routes!(api_keys::list_keys)),
    Endpoint::api(HttpMethod::Delete, "/v1/api-keys/{id}",   Right::ApiKeysManage,  || routes!(api_keys::revoke_key)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit",           Right::AuditRead,      || routes!(audit::list)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit/verify",    Right::AuditRead,      || routes!(audit::verify)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit/export",    Right::AuditRead,      || routes!(audit_export::export)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit/keys",      Right::AuditRead,      || routes!(audit_export::keys)),
    Endpoint::api(HttpMethod::Post,   "/v1/audit/erasures",  Right::AuditErase,     || routes!(audit_erasure::erase)),
    Endpoint::api(HttpMethod::Get,    "/v1/dead-letters",             Right::DeadLettersRead,   || routes!(dead_letters::list_dead_letters)),
    Endpoint::api(HttpMethod::Get,    "/v1/dead-letters/{id}",        Right::DeadLettersRead,   || routes!(dead_letters::read_dead_letter)),
    Endpoint::api(HttpMethod::Delete, "/v1/dead-letters/{id}",        Right::DeadLettersManage, || routes!(dead_letters::discard_dead_letter)),
    Endpoint::api(HttpMethod::Post,   "/v1/dead-letters/{id}/replay", Right::DeadLettersManage, || routes!(dead_letters::replay_dead_letter)),
    Endpoint::api(HttpMethod::Post,   "/v1/oauth/{server}/authorize", Right::ConnectionsManage, || routes!(connections::authorize)),
    Endpoint::api(HttpMethod::Post,   "/v1/oauth/{server}/refresh",   Right::ConnectionsManage, || routes!(connections::refresh)),
    Endpoint::api(HttpMethod::Delete, "/v1/oauth/{server}",           Right::ConnectionsManage, || routes!(connections::disconnect)),
    Endpoint::api(HttpMethod::Get,    "/v1/oauth/connections",        Right::ConnectionsManage, || routes!(connections::list)).or_page(),
    Endpoint::api(HttpMethod::Post,   "/v1/users/{user}/offboard",    Right::UsersOffboard,     || routes!(offboarding::offboard)),

    Endpoint::browser(HttpMethod::Post, "/v1/oauth/connections", || routes!(browser::connections::end)),
    Endpoint::browser(HttpMethod::Get,  "/v1/oauth/connect",     || routes!(browser::connect::ask)),
    Endpoint::browser(HttpMethod::Post, "/v1/oauth/connect",     || routes!(browser::connect::go)),
    Endpoint::browser(HttpMethod::Get,  "/v1/oauth/login",       || routes!(browser::login::finish)),
    Endpoint::browser(HttpMethod::Post, "/v1/oauth/login",       || routes!(browser::login::with_token)),
    Endpoint::browser(HttpMethod::Get,  "/v1/oauth/callback",    || routes!(browser::callback::complete)),
    Endpoint::public("/v1/oauth/client.json",                    || routes!(browser::client::document)),

    Endpoint::mcp(HttpMethod::Post,   "/mcp",                             || mcp::receive("/mcp")),
    Endpoint::mcp(HttpMethod::Delete, "/mcp",                             || mcp::disconnect("/mcp")),
    Endpoint::mcp(HttpMethod::Get,    "/mcp",                             || mcp::listen("/mcp")),
    Endpoint::mcp(HttpMethod::Post,   "/mcp/{server}",                    || mcp::receive("/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Delete, "/mcp/{server}",                    || mcp::disconnect("/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Get,    "/mcp/{server}",                    || mcp::listen("/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Post,   "/o/{organization}/mcp",            || mcp::receive("/o/{organization}/mcp")),
    Endpoint::mcp(HttpMethod::Delete, "/o/{organization}/mcp",            || mcp::disconnect("/o/{organization}/mcp")),
    Endpoint::mcp(HttpMethod::Get,    "/o/{organization}/mcp",            || mcp::listen("/o/{organization}/mcp")),
    Endpoint::mcp(HttpMethod::Post,   "/o/{organization}/mcp/{server}",   || mcp::receive("/o/{organization}/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Delete, "/o/{organization}/mcp/{server}",   || mcp::disconnect("/o/{organization}/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Get,    "/o/{organization}/mcp/{server}",   || mcp::listen("/o/{organization}/mcp/{server}")),
    Endpoint::mcp(HttpMethod::Post,   "/v1/sessions/{id}/mcp",            || mcp::receive("/v1/sessions/{id}/mcp")),
    Endpoint::mcp(HttpMethod::Delete, "/v1/sessions/{id}/mcp",            || mcp::disconnect("/v1/sessions/{id}/mcp")),
    Endpoint::mcp(HttpMethod::Get,    "/v1/sessions/{id}/mcp",            || mcp::listen("/v1/sessions/{id}/mcp")),

    Endpoint::public("/.well-known/oauth-protected-resource/o/{organization}/mcp",          || routes!(well_known::organization)),
    Endpoint::public("/.well-known/oauth-protected-resource/o/{organization}/mcp/{server}", || routes!(well_known::server)),
    Endpoint::public("/openapi.json",                                                       || routes!(openapi::document)),
];

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
