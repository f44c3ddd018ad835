//! A clock: an MCP server over Streamable HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentapi_gateway::serve::stop_on_signal;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{RequestMetaObject, ServerCapabilities};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::failure::Failure;

/// Longest countdown, in steps.
const LONGEST_COUNTDOWN: u32 = 100;
/// Longest pause between two steps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Pause between two steps unless said otherwise, in milliseconds.
const DEFAULT_PAUSE: u64 = 50;

/// What to try when the clock cannot serve where it should.
const ANY_PORT: &str = "agentapi sample clock --listen 127.0.0.1:0";

/// Where and for whom the clock serves.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:19471")]
    listen: SocketAddr,
    /// Bearer token that clients must send; without it everybody is served
    #[arg(
        long,
        value_name = "TOKEN",
        env = "AGENTAPI_SAMPLE_TOKEN",
        hide_env_values = true
    )]
    token: Option<SecretString>,
}

/// Serves until it is interrupted.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let listen = arguments.listen;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| {
            Failure::new(format!("cannot listen on {listen}"), ANY_PORT).because(error)
        })?;
    let failed = |error| Failure::new("the clock cannot serve", ANY_PORT).because(error);
    let address = listener.local_addr().map_err(failed)?;
    let stop = stop_on_signal().map_err(failed)?;
    // Event streams would stay open until their sessions end: they end with the same token.
    let router = router(arguments.token, stop.clone());

    crate::output::line(&format!("ready http://{address}/mcp"))?;
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(failed)
}

fn router(token: Option<SecretString>, ended: CancellationToken) -> Router {
    let mut config = StreamableHttpServerConfig::default();
    config.cancellation_token = ended;
    let service = StreamableHttpService::new(
        || Ok(Clock),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    Router::new()
        .route_service("/mcp", service)
        .layer(from_fn_with_state(token.map(Arc::new), require_token))
}

/// Refuses requests without the bearer token (RFC 6750), if one is required.
async fn require_token(
    State(token): State<Option<Arc<SecretString>>>,
    request: Request,
    next: Next,
) -> Response {
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let admitted = token.is_none_or(|token| {
        presented.and_then(|value| value.strip_prefix("Bearer ")) == Some(token.expose_secret())
    });
    if admitted {
        next.run(request).await
    } else {
        (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer")],
        )
            .into_response()
    }
}

#[derive(Clone)]
struct Clock;

#[derive(Debug, Deserialize, JsonSchema)]
struct Zone {
    /// IANA name of a time zone, for example Europe/Berlin; UTC if absent.
    zone: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Convert {
    /// A time in RFC 3339, for example 2026-01-01T12:00:00Z.
    time: String,
    /// IANA name of the time zone wanted, for example Asia/Tokyo.
    zone: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Countdown {
    /// Where to begin; at most 100.
    from: u32,
    /// Milliseconds between two steps; 50 if absent, at most 10000.
    #[serde(rename = "intervalMilliseconds")]
    interval_milliseconds: Option<u64>,
}

/// A time in a zone.
#[derive(Debug, Serialize, JsonSchema)]
struct ZonedTime {
    /// The time in RFC 3339 with the zone's offset.
    time: String,
    /// The time zone.
    zone: String,
}

/// The end of a countdown.
#[derive(Debug, Serialize, JsonSchema)]
struct Finished {
    /// How many steps were counted.
    steps: u32,
}

#[tool_router]
impl Clock {
    /// Tell the time
    #[tool(annotations(read_only_hint = true))]
    fn now(&self, Parameters(Zone { zone }): Parameters<Zone>) -> Result<Json<ZonedTime>, String> {
        in_zone(Timestamp::now(), zone.as_deref().unwrap_or("UTC")).map(Json)
    }

    /// Convert a time into another time zone
    #[tool(annotations(read_only_hint = true, idempotent_hint = true))]
    fn convert(
        &self,
        Parameters(Convert { time, zone }): Parameters<Convert>,
    ) -> Result<Json<ZonedTime>, String> {
        let time = time
            .parse()
            .map_err(|error| format!("{time} is not a time in RFC 3339: {error}"))?;
        in_zone(time, &zone).map(Json)
    }

    /// Count down to zero, reporting progress at each step
    #[tool(annotations(read_only_hint = true))]
    async fn countdown(
        &self,
        Parameters(Countdown {
            from,
            interval_milliseconds,
        }): Parameters<Countdown>,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
    ) -> Result<Json<Finished>, ErrorData> {
        if from > LONGEST_COUNTDOWN {
            let message = format!("from is at most {LONGEST_COUNTDOWN}");
            return Err(ErrorData::invalid_params(message, None));
        }
        let pause = Duration::from_millis(interval_milliseconds.unwrap_or(DEFAULT_PAUSE));
        let progress = Progress::new(client, meta, from as usize);
        for step in 1..=from {
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            progress
                .report(step as usize, format!("{} left", from - step))
                .await?;
        }
        Ok(Json(Finished { steps: from }))
    }
}

fn in_zone(time: Timestamp, zone: &str) -> Result<ZonedTime, String> {
    let found = TimeZone::get(zone).map_err(|_| format!("there is no time zone {zone}"))?;
    let offset = found.to_offset(time);
    Ok(ZonedTime {
        time: time.display_with_offset(offset).to_string(),
        zone: zone.to_owned(),
    })
}

#[tool_handler]
impl ServerHandler for Clock {
    fn get_info(&self) -> rmcp::model::ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        rmcp::model::ServerConfig::new(capabilities)
            .with_server_info(super::implementation("agentapi-sample-clock", "Clock"))
            .with_instructions("Times are in RFC 3339.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_time_is_converted_with_the_offset_of_its_date() {
        assert_eq!(
            in_zone(noon(), "Asia/Tokyo").unwrap().time,
            "2026-01-01T21:00:00+09:00"
        );
    }

    #[test]
    fn an_unknown_zone_is_named() {
        assert_eq!(
            in_zone(noon(), "Mars/Base").unwrap_err(),
            "there is no time zone Mars/Base"
        );
    }
}
