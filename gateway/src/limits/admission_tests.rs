//! Who is let in when not everybody can be.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::cache::MemoryCache;

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));
const NO_CAP: u32 = u32::MAX;

fn admission(most: usize, replicas: u32) -> Admission {
    let metrics = Metrics::new();
    let cache = Arc::new(MemoryCache::default());
    Admission::new(most, Shared::new(cache, replicas, metrics.clone()), metrics)
}

/// As many seats as somebody gets.
fn flood(admission: &Admission, tenant: TenantId, administrator: bool) -> Vec<UnderWay> {
    std::iter::from_fn(|| admission.seat(tenant, administrator, NO_CAP).ok()).collect()
}

#[test]
fn a_flood_of_one_organization_leaves_seats_for_others() {
    let admission = admission(160, 1);
    let held = flood(&admission, ACME, false);
    assert_eq!(
        admission.seat(ACME, false, NO_CAP).err(),
        Some(Refusal::Overload)
    );
    assert!(held.len() >= 100, "{} seats", held.len());
    assert!(admission.seat(GLOBEX, false, NO_CAP).is_ok());
}

#[test]
fn administrators_are_let_in_when_everybody_floods() {
    let admission = admission(160, 1);
    let crowd: Vec<_> = (1..100)
        .flat_map(|tenant| flood(&admission, TenantId(Uuid::from_u128(tenant)), false))
        .collect();
    assert!(admission.seat(GLOBEX, false, NO_CAP).is_err());
    assert!(
        admission.seat(GLOBEX, true, NO_CAP).is_ok(),
        "{} seats are taken",
        crowd.len()
    );
}

#[test]
fn administrators_who_flood_leave_seats_for_others_too() {
    let admission = admission(160, 1);
    let _held = flood(&admission, ACME, true);
    assert!(admission.seat(GLOBEX, false, NO_CAP).is_ok());
    assert!(admission.seat(GLOBEX, true, NO_CAP).is_ok());
}

#[test]
fn a_cap_holds_for_all_callers_of_an_organization_together() {
    let admission = admission(160, 1);
    let _held = [
        admission.seat(ACME, false, 2).unwrap(),
        admission.seat(ACME, true, 2).unwrap(),
    ];
    for administrator in [false, true] {
        assert_eq!(
            admission.seat(ACME, administrator, 2).err(),
            Some(Refusal::Cap)
        );
    }
    assert!(admission.seat(GLOBEX, false, 2).is_ok());
}

#[test]
fn replicas_share_a_cap_and_each_lets_at_least_one_in() {
    let admission = admission(160, 3);
    assert_eq!(admission.own_part(200), 67);
    assert_eq!(admission.own_part(1), 1);
}

#[test]
fn one_credential_does_not_close_the_door_to_others() {
    let admission = admission(10, 1);
    let (one, other) = (
        HeaderValue::from_static("Bearer one"),
        HeaderValue::from_static("Bearer other"),
    );
    let held: Vec<_> = std::iter::from_fn(|| admission.enter(Some(&one)).ok()).collect();
    assert_eq!(held.len(), 8);
    assert!(admission.enter(Some(&other)).is_ok());
    assert!(admission.enter(None).is_ok());
}
