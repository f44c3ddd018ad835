//! Lists: `limit` and `cursor` in, `items` and `nextCursor` out.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AppState, ErrorCode, Problem};
use crate::store::{Page, Paged};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most items returned, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<Uuid>,
}

impl PageQuery {
    pub(super) fn new(limit: Option<u32>, cursor: Option<Uuid>) -> Self {
        Self { limit, cursor }
    }

    /// The page for the store.
    pub(super) fn page(&self) -> Result<Page, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::new(
                ErrorCode::InvalidRequest,
                format!("limit must be between 1 and {MAX_LIMIT}"),
            ));
        }
        Ok(Page {
            limit,
            after: self.cursor,
        })
    }
}

/// Whose items are wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    /// The caller's.
    #[default]
    Me,
    /// Everybody's in the organization, which needs a right of its own.
    Anyone,
}

/// A part of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    /// The items, newest first.
    items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Uuid>,
}

impl<T> List<T> {
    /// A page of the store, each item as it is shown.
    pub(super) fn of<S>(page: Paged<S>, show: impl Fn(S) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(show).collect(),
            next_cursor: page.next,
        }
    }
}

/// Query parameters, with a problem document where they cannot be read.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Problem::new(
                ErrorCode::InvalidRequest,
                rejection.body_text(),
            )),
        }
    }
}
