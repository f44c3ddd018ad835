//! One attempt to deliver one event, and what follows from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::events::Retries;
use crate::store::{Delivery, Settlement};
use crate::telemetry::chain;
use crate::upstream::EventSink;

/// After which an event for a sink that is not configured is given up. Before, this
/// replica may just not know the sink yet.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);
/// When it is looked at again.
const PERHAPS_KNOWN: Duration = Duration::from_secs(300);

/// Sends an event, and says what is to become of it.
pub(super) async fn attempt(
    sink: &EventSink,
    delivery: &Delivery,
    retries: &Retries,
) -> Settlement {
    let Some(record) = &delivery.record else {
        let error = "its record is no longer kept".to_owned();
        return Settlement::Dead { error };
    };
    let Err(failure) = sink.send(delivery.id, record).await else {
        return Settlement::Delivered;
    };
    let error = chain(&failure);
    let pause = retries.pause(delivery.attempts, dice(), failure.retry_after());
    match pause.filter(|_| !failure.is_final()) {
        Some(pause) => Settlement::Again { pause, error },
        None => Settlement::Dead { error },
    }
}

/// What becomes of an event whose sink the organization does not have.
pub(super) fn without_sink(delivery: &Delivery) -> Settlement {
    let error = "the organization has no event sink of that name any more".to_owned();
    let age = Timestamp::now().duration_since(delivery.created_at);
    match age > FORGOTTEN {
        true => Settlement::Dead { error },
        false => Settlement::Again {
            pause: PERHAPS_KNOWN,
            error,
        },
    }
}

/// A number between 0 and 1.
fn dice() -> f64 {
    let random = uuid::Uuid::new_v4().as_u128() as u16;
    f64::from(random) / f64::from(u16::MAX)
}
