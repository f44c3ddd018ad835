//! When a token is refreshed, and when nothing but consent helps.

use super::profile::Rotation;

/// Microseconds before its end at which an access token is replaced: as long as a
/// request may be under way, and clocks may differ.
const EARLY: i64 = 60 * 1_000_000;

/// What is known of a token that is kept. Times are microseconds since 1970, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When the access token ends, where that is known.
    pub expires_at: Option<i64>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// Until when somebody holds the lease on refreshing it.
    pub leased_until: i64,
    /// Whether whoever holds or held that lease may have sent the refresh token.
    pub sent: bool,
    /// Whether the provider may have replaced a refresh token that was sent.
    pub rotation: Rotation,
}

/// What is to be done before a token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Usable,
    /// It is to be refreshed, by whoever gets the lease.
    Refresh,
    /// Somebody refreshes it.
    Wait,
    /// A refresh token was sent, and what came of it is lost: using it again could
    /// end the grant, and may be taken for theft.
    Lost,
    /// It has ended, and there is nothing to refresh it with.
    Ended,
}

impl Standing {
    /// What is to be done at `now`; `refused` if the server did not accept the access token.
    pub fn due(&self, now: i64, refused: bool) -> Due {
        let left = self
            .expires_at
            .map_or(i64::MAX, |end| end.saturating_sub(now));
        if !refused && left > EARLY {
            return Due::Usable;
        }
        if !self.refreshable {
            return if !refused && left > 0 {
                Due::Usable
            } else {
                Due::Ended
            };
        }
        if self.leased_until > now {
            return Due::Wait;
        }
        match (self.sent, self.rotation) {
            (true, Rotation::Possible) => Due::Lost,
            _ => Due::Refresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn standing() -> Standing {
        Standing {
            expires_at: Some(NOW + 2 * EARLY),
            refreshable: true,
            leased_until: 0,
            sent: false,
            rotation: Rotation::Possible,
        }
    }

    fn ending() -> Standing {
        Standing {
            expires_at: Some(NOW + EARLY),
            ..standing()
        }
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        assert_eq!(standing().due(NOW, false), Due::Usable);
        assert_eq!(ending().due(NOW, false), Due::Refresh);
    }

    #[test]
    fn a_token_without_an_end_is_used_until_it_is_refused() {
        let endless = Standing {
            expires_at: None,
            ..standing()
        };
        assert_eq!(endless.due(NOW, false), Due::Usable);
        assert_eq!(endless.due(NOW, true), Due::Refresh);
    }

    #[test]
    fn a_token_that_cannot_be_refreshed_is_used_to_its_very_end() {
        let last = Standing {
            refreshable: false,
            ..ending()
        };
        assert_eq!(last.due(NOW, false), Due::Usable);
        assert_eq!(last.due(NOW + EARLY, false), Due::Ended);
        assert_eq!(last.due(NOW, true), Due::Ended);
    }

    #[test]
    fn while_somebody_holds_the_lease_others_wait() {
        let leased = Standing {
            leased_until: NOW + 1,
            ..ending()
        };
        assert_eq!(leased.due(NOW, false), Due::Wait);
        assert_eq!(leased.due(NOW + 1, false), Due::Refresh);
    }

    #[test]
    fn a_refresh_token_that_may_have_been_used_up_is_not_sent_again() {
        let sent = Standing {
            sent: true,
            leased_until: NOW,
            ..ending()
        };
        assert_eq!(sent.due(NOW, false), Due::Lost);
    }

    #[test]
    fn one_of_a_provider_that_never_replaces_them_is_sent_again() {
        let sent = Standing {
            sent: true,
            rotation: Rotation::Never,
            ..ending()
        };
        assert_eq!(sent.due(NOW, false), Due::Refresh);
    }
}
