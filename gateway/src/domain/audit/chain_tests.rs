//! Properties of sealing and checking: whatever is done to a chain, the record is named.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const WRITER: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);

fn entry(number: usize) -> Entry {
    Entry {
        context: Arc::new(Context {
            organization: "acme".to_owned(),
            actor: format!("user-{number}"),
            api_key: (number % 2 == 1).then_some(WRITER),
            request_id: format!("request-{number}"),
            address: "192.0.2.7".to_owned(),
            user_agent: "curl/8".to_owned(),
        }),
        action: Action::ToolCall,
        resource: "notes/add_note".to_owned(),
        outcome: Outcome::Failure,
        reason: Some("upstream_timeout"),
    }
}

fn stamp(number: usize) -> Stamp {
    Stamp {
        id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0001_0000 + number as u128),
        time: Timestamp::from_microsecond(1_790_000_000_000_000 + number as i64).expect("in range"),
        key: [number as u8; 16],
    }
}

fn chain(length: usize) -> Vec<Record> {
    let mut head = Head::default();
    (0..length)
        .map(|number| {
            let record = head.seal(WRITER, stamp(number), &entry(number));
            head = Head::after(&record);
            record
        })
        .collect()
}

fn check(records: &[Record]) -> Vec<Problem> {
    let mut check = ChainCheck::new(WRITER, None);
    records
        .iter()
        .flat_map(|record| check.next(record))
        .collect()
}

fn erase(record: &mut Record) {
    record.actor = None;
    record.address = None;
    record.user_agent = None;
    record.commitment_key = None;
}

/// A change of one field of a record, by the field's number.
fn change(record: &mut Record, field: usize) {
    match field {
        0 => record.id = Uuid::from_u128(7),
        1 => record.writer = Uuid::from_u128(7),
        2 => record.time = Timestamp::UNIX_EPOCH,
        3 => record.organization.push('x'),
        4 => record.actor = Some("someone else".to_owned()),
        5 => record.action = Action::PromptGet,
        6 => record.resource.push('x'),
        7 => record.outcome = Outcome::Success,
        8 => record.reason = None,
        9 => record.request_id.push('x'),
        10 => record.address = Some("203.0.113.9".to_owned()),
        11 => record.user_agent = Some(String::new()),
        12 => record.commitment_key = Some("00".repeat(15)),
        13 => record.commitments[1] = "00".repeat(32),
        14 => record.previous_hash = "11".repeat(32),
        15 => record.hash = "22".repeat(32),
        16 => record.api_key = record.api_key.xor(Some(WRITER)),
        _ => record.actor = None,
    }
}

proptest! {
    #[test]
    fn an_untouched_chain_has_no_problem(length in 0usize..40) {
        prop_assert_eq!(check(&chain(length)), vec![]);
    }

    #[test]
    fn erasing_personal_fields_keeps_the_chain_valid(length in 1usize..20, at in any::<prop::sample::Index>()) {
        let mut records = chain(length);
        erase(&mut records[at.index(length)]);
        prop_assert_eq!(check(&records), vec![]);
    }

    #[test]
    fn a_changed_record_is_named(length in 1usize..20, at in any::<prop::sample::Index>(), field in 0usize..18) {
        let mut records = chain(length);
        let at = at.index(length);
        change(&mut records[at], field);
        let named = check(&records).into_iter().any(|problem| problem.sequence == at as u64 + 1);
        prop_assert!(named, "field {} of record {} was changed unseen", field, at + 1);
    }

    #[test]
    fn a_record_rehashed_after_a_change_breaks_the_link_to_the_next(length in 2usize..20, at in any::<prop::sample::Index>()) {
        let mut records = chain(length);
        let at = at.index(length - 1);
        records[at].resource.push('x');
        records[at].hash = records[at].computed_hash();
        prop_assert_eq!(
            check(&records),
            vec![Problem { writer: WRITER, sequence: at as u64 + 2, what: Flaw::NotChained }]
        );
    }

    #[test]
    fn a_removed_record_is_named(length in 2usize..20, at in any::<prop::sample::Index>()) {
        let mut records = chain(length);
        let at = at.index(length - 1);
        records.remove(at);
        let sequence = at as u64 + 1;
        prop_assert_eq!(
            check(&records),
            vec![Problem { writer: WRITER, sequence, what: Flaw::Missing { through: sequence } }]
        );
    }

    #[test]
    fn records_whose_positions_were_swapped_are_both_named(
        length in 2usize..20,
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let mut records = chain(length);
        let (one, other) = (one.index(length), other.index(length));
        prop_assume!(one != other);
        (records[one].sequence, records[other].sequence) = (records[other].sequence, records[one].sequence);
        records.sort_by_key(|record| record.sequence);
        let named: Vec<u64> = check(&records).iter().map(|problem| problem.sequence).collect();
        for position in [one, other] {
            prop_assert!(named.contains(&(position as u64 + 1)), "record {} moved unseen: {:?}", position + 1, named);
        }
    }

    #[test]
    fn records_read_in_another_order_are_noticed(length in 2usize..20, at in any::<prop::sample::Index>()) {
        let mut records = chain(length);
        let at = at.index(length - 1);
        records.swap(at, at + 1);
        let problems = check(&records);
        prop_assert!(problems.iter().any(|problem| problem.sequence == at as u64 + 1), "{:?}", problems);
    }

    #[test]
    fn any_text_of_a_caller_seals_to_a_record_that_verifies_and_can_be_stored(
        actor in any::<String>(), resource in any::<String>(), agent in any::<String>(),
    ) {
        let mut entry = entry(0);
        entry.context = Arc::new(Context { actor, user_agent: agent, ..(*entry.context).clone() });
        entry.resource = resource;
        let record = Head::default().seal(WRITER, stamp(0), &entry);
        let texts = [record.actor.clone().unwrap_or_default(), record.resource.clone()];
        prop_assert!(texts.iter().all(|text| !text.contains('\0') && text.chars().count() <= 1024));
        prop_assert_eq!(check(&[record]), vec![]);
    }
}

#[test]
fn a_key_kept_after_its_values_were_erased_is_noticed() {
    let mut records = chain(1);
    let key = records[0].commitment_key.clone();
    erase(&mut records[0]);
    records[0].commitment_key = key;
    assert_eq!(check(&records)[0].what, Flaw::ErasedInPart);
}

#[test]
fn the_canonical_bytes_are_sorted_json_without_white_space_and_personal_fields() {
    let record = &chain(1)[0];
    let commitments = serde_json::to_string(&record.commitments).expect("strings serialize");
    assert_eq!(
        String::from_utf8(record.canonical()).expect("JSON is UTF-8"),
        format!(
            concat!(
                r#"{{"action":"tool.call","commitments":{},"id":"01920000-0000-7000-8000-000000010000","#,
                r#""organization":"acme","outcome":"failure","previousHash":"{}","reason":"upstream_timeout","#,
                r#""requestId":"request-0","resource":"notes/add_note","sequence":1,"#,
                r#""time":"2026-09-21T14:13:20Z","version":1,"writer":"01920000-0000-7000-8000-000000000001"}}"#
            ),
            commitments, GENESIS_HASH
        )
    );
}

#[test]
fn a_commitment_is_hmac_sha256_of_name_zero_value() {
    // printf 'actor\0alice' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f
    let key: Vec<u8> = (0..16).collect();
    assert_eq!(
        super::seal::commitment(&key, "actor", "alice"),
        "633bc86fd341834279014a023549daf354628fe551efe5ba156eec2006bf8924"
    );
}

#[test]
fn every_action_and_outcome_is_read_back_from_its_name() {
    for action in Action::ALL {
        assert_eq!(action.name().parse::<Action>().expect("known"), action);
    }
    for outcome in Outcome::ALL {
        assert_eq!(outcome.name().parse::<Outcome>().expect("known"), outcome);
    }
}
