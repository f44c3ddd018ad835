//! The OpenAPI document, made from the routes.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Info, License, OpenApi, OpenApiBuilder};

use super::documented_routes;

/// The document of the whole public surface.
pub fn openapi() -> OpenApi {
    let mut document = documented_routes().split_for_parts().1;
    document.merge(OpenApiBuilder::new().info(info()).build());
    document.info = info();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", bearer);
    document
}

fn info() -> Info {
    let mut info = Info::new("AgentAPI", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Sessions, federated MCP, prompts and the audit record of an organization.".to_owned(),
    );
    info.license = Some(License::new("Apache-2.0"));
    info
}
