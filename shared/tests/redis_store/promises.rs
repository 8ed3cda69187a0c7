//! Promises of the store, held on Redis servers of several versions and on a real cluster.
//!
//! Each claim gets two shards, `a` and `b`, in a namespace of its own, and none may leave a key that ends by itself or
//! lies outside of its shard.

use redis::Commands;
use std::pin::Pin;
use test_support::{RedisCluster, RedisServer, redis_program_of_version};
use visits_core::tests::Shards;

/// A claim, to be held on shards of its own.
type Claim = for<'a> fn(&'a Shards) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes a test on the shared server of each claim, and a list of all.
macro_rules! hold {
    ($($topic:ident: $($claim:ident)*;)*) => {
        $($(
            #[tokio::test]
            async fn $claim() {
                hold_on(&Shards::new(2), |shards| Box::pin(crate::$topic::$claim(shards))).await;
            }
        )*)*
        const CLAIMS: &[(&str, Claim)] =
            &[$($((stringify!($claim), |shards| Box::pin(crate::$topic::$claim(shards))),)*)*];
    };
}

hold! {
    batches:
        a_batch_is_applied_once_however_often_and_by_whomever_it_is_sent
        any_run_of_sends_gives_the_models_set
        a_full_batch_is_applied
        a_batch_too_old_is_refused_and_neither_others_nor_a_duplicate_is
        a_page_that_cannot_be_counted_is_reported_once_and_the_rest_applies
        pages_are_kept_apart_byte_by_byte_and_read_one_by_one_or_together;
    writers:
        a_writer_is_listed_while_it_is_active_with_the_time_since_its_last_flush
        a_silent_writer_is_taken_off_the_list_and_keeps_its_set
        a_set_lives_14_days_after_the_last_flush_and_a_settled_writers_an_hour
        a_delivery_neither_lists_a_writer_nor_shortens_the_time_its_set_is_kept
        the_set_of_an_import_is_kept_for_ever_and_never_swept
        tidying_takes_many_sets_in_several_calls
        the_first_record_of_an_import_stays_until_it_is_done;
    parking:
        a_parked_copy_reads_back_and_parking_again_changes_nothing
        a_copy_ages_from_its_sealing_by_the_shards_clock
        a_shard_takes_all_copies_of_a_call_or_none
        owners_and_writers_are_kept_apart_and_an_owner_is_listed_while_it_has_copies
        many_copies_come_in_pages
        a_copy_is_removed_only_with_the_mark_that_it_bears
        what_is_set_aside_is_read_no_more;
    rounds:
        a_round_begins_once_and_none_begins_after_a_later_one
        a_shard_moves_on_only_from_where_it_is_known_to_be
        a_visit_by_another_ring_keeps_a_shard_from_moving_on
        records_that_are_taken_wait_with_all_their_fields_and_a_page_keeps_a_note
        only_the_ring_in_force_takes_only_in_the_first_stage_and_only_what_a_mailbox_has_room_for
        records_land_once_however_often_they_are_delivered
        notes_are_cleaned_up_to_the_round_and_in_their_stage
        a_scan_finds_every_page_of_its_shard;
    statistics:
        days_bots_and_visitors_are_counted_once_however_often_a_batch_is_sent
        top_pages_come_by_their_visits_by_people
        a_days_secret_is_the_first_that_was_offered
        a_count_is_set_once_however_often_the_call_is_made
        a_page_that_is_forgotten_leaves_neither_days_nor_a_place_in_a_list
        no_count_is_set_while_pages_move
        a_finished_day_becomes_numbers_and_a_month_a_list;
}

/// Holds a claim, and that it leaves no key with a TTL. Each is found by its shard's hash tag: the roster besides, the server has no others.
async fn hold_on(shards: &Shards, claim: Claim) {
    claim(shards).await;
    let mut found = 0;
    for shard in 0..2 {
        for key in shards.keys(shard, "*") {
            assert_eq!(shards.connect_to(shard).ttl(&key), Ok(-1), "{key}");
            found += 1;
        }
    }
    assert!(found > 0);
    if shards.config().namespace.as_str() == "visits" {
        assert_eq!(redis::cmd("DBSIZE").query(&mut shards.connect()), Ok(found + 1), "the roster, and no other");
    }
}

/// Holds all claims, one after the other: a cluster takes seconds to form, and so many servers would be slow.
async fn keep_every_promise(shards: impl Fn(&[(&str, &str)]) -> Shards) {
    for (number, (name, claim)) in CLAIMS.iter().enumerate() {
        println!("{name}");
        hold_on(&shards(&[("VISITS_NAMESPACE", &format!("claim-{number}"))]), *claim).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_every_promise() {
    let cluster = RedisCluster::start();
    keep_every_promise(|settings| Shards::on_cluster(&cluster, 2, settings)).await;
}

/// Debian's 7.0, or the one that is installed, is held to them above.
async fn a_server_keeps_every_promise(version: &str) {
    let Some(program) = redis_program_of_version(version) else {
        return println!("there is no Redis {version} for this machine");
    };
    let server = RedisServer::builder().program(program).start();
    keep_every_promise(|settings| Shards::on(&[server.url(), server.url()], settings)).await;
}

#[tokio::test]
async fn redis_6_2_the_oldest_that_is_supported_keeps_every_promise() {
    a_server_keeps_every_promise("6.2").await;
}

#[tokio::test]
async fn redis_8_2_keeps_every_promise() {
    a_server_keeps_every_promise("8.2").await;
}
