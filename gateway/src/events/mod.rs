//! Delivery of events to organizations' sinks, from the outbox.
//!
//! An event is written with the record it tells of (`audit`), in one transaction:
//! what is on the record is sent, and nothing else. Any number of replicas deliver;
//! an event that one of them has taken and not settled, because it died for example,
//! is taken by another a minute later. So an event arrives at least once, under the
//! same `webhook-id` each time, and in no particular order.

mod attempt;
mod dispatcher;

pub use dispatcher::Dispatcher;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
