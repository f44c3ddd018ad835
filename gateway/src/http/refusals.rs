//! Refusals as the OpenAPI document tells them: under each status, with their codes.
//!
//! Handlers describe themselves with `4XX` and `5XX`. Which statuses these are
//! follows from what the operation reads; what only its handler knows, such as a
//! limit, the handler names by its own status.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::content::Content;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Object, Ref, RefOr, Type};

use super::{ErrorCode, ProblemDocument};

/// RFC 9457, section 3.
pub(super) const PROBLEM: &str = "application/problem+json";

/// What stands for refusals in the descriptions of handlers.
const RANGES: [&str; 2] = ["4XX", "5XX"];

/// Of every operation that needs a right.
const OF_CALLERS: [ErrorCode; 6] = [
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::OrganizationSuspended,
    ErrorCode::RateLimited,
    ErrorCode::Unavailable,
    ErrorCode::Timeout,
];
const OF_BODIES: [ErrorCode; 3] = [
    ErrorCode::InvalidRequest,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
];

/// Tags of the operations on connected accounts: they ask authorization servers, and
/// their pages know their visitors by cookies.
const OAUTH: [&str; 2] = ["oauth", "browser"];
const OF_OAUTH: [ErrorCode; 11] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::OrganizationSuspended,
    ErrorCode::NotFound,
    ErrorCode::NotSupported,
    ErrorCode::AuthorizationRefused,
    ErrorCode::AuthorizationServerFailed,
    ErrorCode::EncryptionNotConfigured,
    ErrorCode::RateLimited,
    ErrorCode::Unavailable,
];

/// Puts the statuses that an operation refuses with in the place of `4XX` and `5XX`.
pub(super) fn name_statuses(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let ranges = RANGES.map(|range| responses.remove(range).is_some());
    if ranges == [false, false] {
        return;
    }
    for (status, response) in refusals(&codes(operation)) {
        let responses = &mut operation.responses.responses;
        let known = responses.entry(status.as_str().to_owned());
        known.or_insert_with(|| RefOr::T(response.build()));
    }
}

fn codes(operation: &Operation) -> Vec<ErrorCode> {
    let parameters = operation.parameters.iter().flatten();
    let places: Vec<_> = parameters
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(&parameter.parameter_in),
            RefOr::Ref(_) => None,
        })
        .collect();
    let mut codes = vec![ErrorCode::Internal];
    if operation.security.is_some() {
        codes.extend(OF_CALLERS);
    }
    if operation
        .tags
        .iter()
        .flatten()
        .any(|tag| OAUTH.contains(&tag.as_str()))
    {
        codes.extend(OF_OAUTH);
    }
    if operation.request_body.is_some() {
        codes.extend(OF_BODIES);
    } else if places
        .iter()
        .any(|place| !matches!(place, ParameterIn::Path))
    {
        codes.push(ErrorCode::InvalidRequest);
    }
    if places
        .iter()
        .any(|place| matches!(place, ParameterIn::Path))
    {
        codes.push(ErrorCode::NotFound);
    }
    codes.sort_unstable_by_key(|code| code.name());
    codes.dedup();
    codes
}

/// A response for each status of the codes.
pub(crate) fn refusals(codes: &[ErrorCode]) -> BTreeMap<StatusCode, ResponseBuilder> {
    let mut by_status: BTreeMap<StatusCode, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let refusal = |(status, codes): (StatusCode, Vec<ErrorCode>)| (status, refusal(status, &codes));
    by_status.into_iter().map(refusal).collect()
}

fn refusal(status: StatusCode, codes: &[ErrorCode]) -> ResponseBuilder {
    let meanings = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.name(), code.title()));
    let problem = Content::new(Some(Ref::from_schema_name(ProblemDocument::name())));
    let response = ResponseBuilder::new()
        .description(meanings.collect::<Vec<_>>().join(" "))
        .content(PROBLEM, problem);
    match status {
        StatusCode::UNAUTHORIZED => response.header(
            "WWW-Authenticate",
            header("Challenge (RFC 6750), with the resource metadata of the organization's path (RFC 9728)."),
        ),
        StatusCode::METHOD_NOT_ALLOWED => response.header("Allow", header("Methods that the path has.")),
        StatusCode::TOO_MANY_REQUESTS => response.header("Retry-After", header("Seconds to wait.")),
        _ => response,
    }
}

/// A header field that is a text.
pub(crate) fn header(meaning: &str) -> Header {
    let mut header = Header::new(Object::with_type(Type::String));
    header.description = Some(meaning.to_owned());
    header
}
