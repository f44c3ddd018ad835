//! The gateway on a real API server, as its own service account with the rights
//! that the chart gives it. Each test has organizations of its own.

mod tier3_gateway {
    mod service_accounts;
}
