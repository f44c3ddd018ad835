//! Every route of the public surface, and the right it needs: the one table that
//! the router is built from, so that no route is without a row.

use agentapi_crds::tenant_config::RequestClass;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::HttpMethod;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::{AppState, audit, document, prompts, sessions, well_known};
use crate::domain::access::Right;
use crate::mcp::handlers as mcp;

/// One route.
pub(super) struct Endpoint {
    pub(super) method: HttpMethod,
    /// In axum's form: `{name}` is a parameter.
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: Handler,
}

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, without a token.
    Public,
    /// Callers who hold the right; their requests count in the class.
    Needs(Right, RequestClass),
}

/// What answers.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// With an operation in the OpenAPI document.
    Documented(fn() -> UtoipaMethodRouter<AppState>),
    /// Not described by its own attribute.
    Plain(fn(MethodFilter) -> MethodRouter<AppState>),
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
        let handler = match self.handler {
            Handler::Plain(handler) => return Ok(handler(self.method.to_method_filter())),
            Handler::Documented(handler) => handler,
        };
        let (_, paths, router) = handler();
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
        handler: fn() -> UtoipaMethodRouter<AppState>,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Needs(right, RequestClass::Api),
            handler: Handler::Documented(handler),
        }
    }

    const fn mcp(
        method: HttpMethod,
        path: &'static str,
        handler: fn(MethodFilter) -> MethodRouter<AppState>,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Needs(Right::Mcp, RequestClass::Mcp),
            handler: Handler::Plain(handler),
        }
    }

    const fn public(path: &'static str, handler: Handler) -> Self {
        Self {
            method: HttpMethod::Get,
            path,
            access: Access::Public,
            handler,
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
pub(super) static TABLE: [Endpoint; 26] = [
    Endpoint::api(HttpMethod::Post,   "/v1/sessions",        Right::SessionsWrite,  || routes!(sessions::create)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions",        Right::SessionsRead,   || routes!(sessions::list)),
    Endpoint::api(HttpMethod::Get,    "/v1/sessions/{id}",   Right::SessionsRead,   || routes!(sessions::read)),
    Endpoint::api(HttpMethod::Patch,  "/v1/sessions/{id}",   Right::SessionsWrite,  || routes!(sessions::update)),
    Endpoint::api(HttpMethod::Delete, "/v1/sessions/{id}",   Right::SessionsWrite,  || routes!(sessions::end)),
    Endpoint::api(HttpMethod::Post,   "/v1/prompts/preview", Right::PromptsPreview, || routes!(prompts::preview)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit",           Right::AuditRead,      || routes!(audit::list)),
    Endpoint::api(HttpMethod::Get,    "/v1/audit/verify",    Right::AuditRead,      || routes!(audit::verify)),

    Endpoint::mcp(HttpMethod::Post,   "/mcp",                             mcp::receive),
    Endpoint::mcp(HttpMethod::Delete, "/mcp",                             mcp::disconnect),
    Endpoint::mcp(HttpMethod::Get,    "/mcp",                             mcp::listen),
    Endpoint::mcp(HttpMethod::Post,   "/mcp/{server}",                    mcp::receive),
    Endpoint::mcp(HttpMethod::Delete, "/mcp/{server}",                    mcp::disconnect),
    Endpoint::mcp(HttpMethod::Get,    "/mcp/{server}",                    mcp::listen),
    Endpoint::mcp(HttpMethod::Post,   "/o/{organization}/mcp",            mcp::receive),
    Endpoint::mcp(HttpMethod::Delete, "/o/{organization}/mcp",            mcp::disconnect),
    Endpoint::mcp(HttpMethod::Get,    "/o/{organization}/mcp",            mcp::listen),
    Endpoint::mcp(HttpMethod::Post,   "/o/{organization}/mcp/{server}",   mcp::receive),
    Endpoint::mcp(HttpMethod::Delete, "/o/{organization}/mcp/{server}",   mcp::disconnect),
    Endpoint::mcp(HttpMethod::Get,    "/o/{organization}/mcp/{server}",   mcp::listen),
    Endpoint::mcp(HttpMethod::Post,   "/v1/sessions/{id}/mcp",            mcp::receive),
    Endpoint::mcp(HttpMethod::Delete, "/v1/sessions/{id}/mcp",            mcp::disconnect),
    Endpoint::mcp(HttpMethod::Get,    "/v1/sessions/{id}/mcp",            mcp::listen),

    Endpoint::public("/.well-known/oauth-protected-resource/o/{organization}/mcp",          Handler::Documented(|| routes!(well_known::organization))),
    Endpoint::public("/.well-known/oauth-protected-resource/o/{organization}/mcp/{server}", Handler::Documented(|| routes!(well_known::server))),
    Endpoint::public("/openapi.json",                                                       Handler::Plain(|method| on(method, document))),
];

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
