//! The operator on a real API server, as its own service account with the
//! rights that the chart gives it. Each test has organizations of its own.

mod tier3_operator {
    mod deletion;
    mod drift;
    mod events;
    mod guards;
    mod images;
    mod members;
    mod objects;
    mod takeover;
    mod tenants;
    mod told;
}
