//! The store on real PostgreSQL, as a role that is not the owner.

mod tier2_postgres {
    mod filled;
    mod isolation;
    mod kills;
    mod migrating;
    mod mutation;
    mod opening;
    mod outages;
    mod plans;
    mod replicas;
    mod rights;
    mod sealed;
}

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::store_contract;

store_contract!(TestDatabase::with_store);
