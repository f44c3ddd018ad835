//! The gateway on a real API server, as its own service account with the rights
//! that the chart gives it, and the operator that asks it. Each test has
//! organizations of its own.

mod tier3_gateway {
    mod caller;
    mod internal_api;
    mod retirement;
    mod rotation;
    mod service_accounts;
    mod suspension;
    mod tools;
}
