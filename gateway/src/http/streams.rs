//! Event streams that are open: few for each user, no more for an organization than
//! it may have, all closed at shutdown.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::auth::Caller;
use crate::limits::{Counts, Held};
use crate::store::TenantId;

/// Most streams of one user on one replica.
const MOST: usize = 8;

type User = (TenantId, Arc<str>);

/// The open streams of this process. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    users: Counts<User>,
    organizations: Counts<TenantId>,
    closing: CancellationToken,
}

/// A place among the streams of a user and of their organization, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_user: Held<User>,
    _of_organization: Held<TenantId>,
}

/// Why there is no place for one more stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    User,
    Organization,
}

impl Streams {
    /// A place for one more stream of the caller, whose organization may have `most` on this replica.
    pub(super) fn open(&self, caller: &Caller, most: usize) -> Result<Place, Full> {
        let tenant = caller.tenant_id();
        let of_user = self.users.take(&(tenant, caller.user.clone()), MOST);
        let of_organization = self.organizations.take(&tenant, most);
        Ok(Place {
            _of_user: of_user.ok_or(Full::User)?,
            _of_organization: of_organization.ok_or(Full::Organization)?,
        })
    }

    /// Ends all streams, for good.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Done when the streams are to end.
    pub(super) fn closed(&self) -> WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }
}
