//! What every store must do, whatever database is behind it.
//!
//! Each function is one test on an empty store. [`store_contract!`](crate::store_contract!)
//! turns them into tests of one database.

mod api_keys;
mod audit;
mod audit_keeping;
mod connections;
mod events;
mod mcp_configs;
mod mcp_sessions;
mod retirement;
mod sealed;
mod session_members;
mod sessions;

use std::sync::Arc;

use agentapi_gateway::store::{NewSession, Page, Store, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

pub use api_keys::*;
pub use audit::*;
pub use audit_keeping::*;
pub use connections::*;
pub use events::*;
pub use mcp_configs::*;
pub use mcp_sessions::*;
pub use retirement::*;
pub use sealed::*;
pub use session_members::*;
pub use sessions::*;

/// The store under test.
pub type AnyStore = Arc<dyn Store>;

/// One organization.
const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
/// Another one.
const GLOBEX: TenantId = TenantId(Uuid::from_u128(0x610B));

const FIRST_PAGE: Page = Page {
    limit: 100,
    after: None,
};

fn in_an_hour() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(1)
}

fn session_of(user: &str) -> NewSession {
    NewSession {
        user: user.to_owned(),
        workspace: "default".to_owned(),
        metadata: json!({"purpose": "test"}),
        expires_at: in_an_hour(),
        idle_timeout_seconds: 600,
        max_per_user: 100,
    }
}

/// Tests of a database: `$with` takes a test, gives it an empty store and cleans up after it.
/// `each $run` is one function instead, which hands every test with its name to `$run`.
#[macro_export]
macro_rules! store_contract {
    ($with:path) => {
        $crate::store_contract! { @names tests $with }
    };
    (each $run:path) => {
        $crate::store_contract! { @names each $run }
    };
    (@names $what:ident $path:path) => {
        $crate::store_contract! { @$what $path:
            a_session_reads_back_as_it_was_created,
            a_sessions_metadata_reads_back_byte_for_byte,
            a_session_is_another_users_and_another_tenants_no_business,
            the_session_limit_holds_under_concurrent_creates,
            the_session_limit_counts_each_user_and_tenant_alone,
            an_ended_session_makes_room_for_another,
            a_session_past_its_end_does_not_answer_or_count,
            a_session_left_idle_does_not_answer_or_count,
            a_use_keeps_a_session_from_becoming_idle,
            sessions_are_listed_newest_first_in_pages,
            a_session_is_created_once_under_its_idempotency_key,
            a_shared_session_shows_each_member_their_role,
            members_do_not_change_share_or_end_a_session,
            a_shared_session_is_nobody_elses_business,
            whoever_inspects_sees_the_sessions_of_all_users,
            members_change_and_go,
            the_number_of_members_is_bounded,
            the_events_of_a_session_have_one_order,
            the_sweeper_removes_what_has_ended_of_all_tenants,
            an_unknown_session_is_shared_with_nobody,
            a_text_with_a_nul_character_is_refused_as_such,
            an_api_key_reads_back_as_it_was_made,
            an_api_key_is_another_users_and_another_tenants_no_business,
            api_keys_of_all_users_are_listed_newest_first_in_pages,
            a_revoked_api_key_does_not_answer,
            an_api_key_past_its_end_does_not_answer_or_count,
            the_limit_of_api_keys_holds_under_concurrent_creates,
            an_api_key_is_made_once_under_its_idempotency_key,
            an_idempotency_key_is_for_one_body_user_and_tenant,
            an_mcp_session_reads_back_with_its_upstreams,
            an_mcp_session_is_another_users_and_another_tenants_no_business,
            an_mcp_session_past_its_end_does_not_answer,
            an_upstream_can_be_replaced,
            an_upstream_of_a_session_that_has_ended_is_not_kept,
            an_upstream_is_put_into_no_other_tenants_session,
            ending_a_session_ends_the_mcp_sessions_in_it,
            all_sessions_of_a_tenant_are_ended_at_once,
            an_mcp_configuration_reads_back_as_it_was_made,
            an_mcp_configuration_is_another_users_and_another_tenants_no_business,
            an_mcp_configuration_changes_from_the_version_that_was_read,
            a_removed_mcp_configuration_frees_its_name,
            names_and_number_of_mcp_configurations_hold_under_concurrent_creates,
            an_mcp_configuration_is_made_once_under_its_idempotency_key,
            the_keys_that_are_needed_are_found_in_all_tenants,
            sealed_values_are_read_in_pages,
            a_value_that_was_changed_meanwhile_is_not_replaced,
            everything_that_old_keys_sealed_is_encrypted_anew_once,
            a_value_that_does_not_open_is_named_and_hides_no_other,
            keys_that_do_not_open_what_is_stored_are_refused,
            an_event_is_written_with_its_record,
            a_batch_that_is_refused_leaves_no_event,
            a_sink_is_due_while_an_event_waits_for_it,
            an_event_is_taken_by_one,
            an_event_that_is_not_settled_is_taken_again,
            an_event_is_settled_by_whoever_took_it_last,
            an_event_that_failed_comes_again,
            a_delivered_event_is_gone,
            a_dead_letter_is_kept,
            a_replayed_dead_letter_is_due_again,
            a_discarded_dead_letter_is_gone,
            a_dead_letter_is_another_tenants_no_business,
            a_retired_tenant_leaves_no_event_behind,
            a_connection_is_its_holders_alone,
            a_new_connection_takes_the_place_of_the_old_one,
            one_of_many_gets_the_lease_on_a_refresh,
            a_refresh_makes_a_new_version,
            a_refresh_token_that_was_sent_is_not_leased_again,
            a_connection_that_asks_for_consent_is_made_anew,
            a_disconnected_connection_waits_for_its_revocation,
            a_connection_that_is_not_revoked_stays_to_be_seen,
            tokens_of_a_connection_that_ended_meanwhile_are_revoked,
            an_offboarded_user_leaves_nothing,
            a_retired_tenants_connections_are_revoked,
            a_pending_authorization_is_taken_once,
            a_pending_authorization_ends,
            audit_records_read_back_as_they_were_sealed,
            audit_records_of_another_tenant_are_not_seen,
            audit_records_are_listed_newest_first_in_pages,
            audit_records_are_found_by_each_filter,
            a_batch_is_written_whole_or_not_at_all,
            a_position_in_a_chain_is_taken_once,
            concurrent_acts_of_many_tenants_make_chains_that_verify,
            a_checkpoint_states_the_heads_of_all_writers,
            two_checkpoints_at_once_are_one,
            a_dead_writer_is_closed_and_its_chain_stated_as_closed,
            a_writer_taken_for_dead_cannot_write_any_more,
            a_recorder_taken_for_dead_goes_on_with_a_new_chain,
            a_tail_that_is_not_there_is_named,
            an_expired_partition_is_removed_after_a_checkpoint,
            a_partition_is_kept_until_its_time_is_over,
            a_partition_is_kept_until_a_checkpoint_states_its_chains,
            an_erased_actor_is_gone_and_the_chain_still_verifies,
            an_erasure_stays_in_its_tenant,
            an_export_verifies_without_the_store,
            a_buffered_call_is_announced_before_it_is_acknowledged_early,
        }
    };
    (@tests $with:path: $($test:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() -> anyhow::Result<()> {
                $with($crate::store_contract::$test).await
            }
        )*
    };
    (@each $run:path: $($test:ident,)*) => {
        async fn each() -> anyhow::Result<()> {
            $($run(stringify!($test), $crate::store_contract::$test).await?;)*
            Ok(())
        }
    };
}
