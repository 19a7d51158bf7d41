//! What every store does: the same facts, of the one in memory and of SQLite in both of its ways to write.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;
mod facts {
    pub(super) mod delivery;
    pub(super) mod rooms;
    pub(super) mod server;
}

macro_rules! stores {
    ($($group:ident: $($fact:ident)*;)*) => {
        mod memory {
            $($(#[test] fn $fact() { super::facts::$group::$fact(&roomlet_store::MemoryStore::new()); })*)*
        }
        mod sqlite {
            $($(#[test] fn $fact() {
                let dir = super::common::TempDir::new();
                super::facts::$group::$fact(&super::common::open(&dir.db()));
            })*)*
        }
        mod sqlite_inline {
            use roomlet_store::{SqliteOptions, SqliteStore};
            $($(#[test] fn $fact() {
                let dir = super::common::TempDir::new();
                let options = SqliteOptions { inline: true, max_bytes: None };
                super::facts::$group::$fact(&SqliteStore::open(dir.db(), options).unwrap());
            })*)*
        }
    };
}

stores! {
    rooms:
        a_new_store_is_empty
        a_room_is_read_as_it_was_written
        a_room_is_replaced
        room_numbers_ascend
        a_room_number_is_never_reused
        slots_are_read_by_number
        states_are_read_as_written
        an_event_is_read_by_id_and_by_number
        states_and_events_of_a_room_are_listed_by_number
        event_ids_of_every_form_survive
        an_event_is_replaced_and_moves_in_the_timeline
        an_event_number_is_never_reused
        an_event_is_found_in_every_room_that_holds_it
        timeline_orders_by_depth_then_number
        timeline_pages_are_exclusive_of_their_start
        timeline_hides_outliers_rejected_and_soft_failed_events
        timeline_stays_in_its_room
        missing_prevs_go_when_found
        redactions_are_known_before_their_target
    ;
    server:
        members_are_listed_by_user
        a_member_leaves_the_list_when_the_state_has_none
        joined_servers_count_joined_members_only
        user_rooms_merge_memberships_and_invites
        a_pending_invite_wins_unless_joined
        a_pending_knock_is_listed_as_knock
        an_invite_is_read_as_written_and_dropped
        each_server_has_an_invite_of_its_own
        updates_come_in_order_from_a_position
        update_positions_never_come_again_after_a_trim
        updates_of_every_kind_survive
        accounts_are_listed_by_name
        a_client_txn_keeps_its_first_result
        client_txns_are_forgotten_with_their_room
        txn_replies_are_forgotten_by_age
        key_bytes_of_a_known_id_never_change
        own_keys_and_meta_are_replaced
    ;
    delivery:
        staged_pdus_come_in_order_of_arrival
        a_pdu_staged_again_keeps_its_place
        an_id_of_many_bytes_comes_back
        the_outbox_is_a_queue_per_destination
        what_is_owed_of_a_forgotten_room_stays
        outbox_numbers_are_never_reused
        collapse_keeps_the_newest_pdu_of_each_room_and_all_edus
        owed_lists_rows_and_transactions_in_flight
        a_destination_is_read_as_written
        a_failed_commit_leaves_nothing
        later_writes_of_a_commit_win
        an_empty_commit_returns_the_last_position
    ;
}
