//! What opens, and everything that must not.

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::*;
use crate::store::TenantId;

const SECRET: &str = "hunter2-hunter2";
const FIRST: &str = "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const SECOND: &str = "second:YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqeHk=";

fn keys(text: &str) -> EncryptionKeys {
    EncryptionKeys::parse(&text.into()).unwrap().unwrap()
}

fn refusal(text: &str) -> String {
    EncryptionKeys::parse(&text.into()).unwrap_err().to_string()
}

fn place() -> Location {
    Location {
        tenant: TenantId(Uuid::from_u128(1)),
        column: SealedColumn::McpCredentials,
        row: Uuid::from_u128(2),
    }
}

fn sealed() -> Sealed {
    keys(FIRST).seal(&place(), &SECRET.into()).unwrap()
}

fn opens(keys: &EncryptionKeys, sealed: &Sealed) -> bool {
    keys.open(&place(), sealed).is_ok()
}

#[test]
fn what_was_sealed_opens_in_its_place() {
    let opened = keys(FIRST).open(&place(), &sealed()).unwrap();
    assert_eq!(opened.expose_secret(), SECRET);
}

#[test]
fn an_empty_secret_and_a_long_one_come_back() {
    for secret in [String::new(), "ü".repeat(100_000)] {
        let sealed = keys(FIRST).seal(&place(), &secret.clone().into()).unwrap();
        let opened = keys(FIRST).open(&place(), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), secret);
    }
}

#[test]
fn the_same_secret_is_sealed_differently_each_time() {
    assert_ne!(sealed().as_bytes(), sealed().as_bytes());
}

#[test]
fn the_first_key_seals_and_older_ones_open() {
    let rotated = keys(&format!("{SECOND},{FIRST}"));
    assert!(opens(&rotated, &sealed()));
    let new = rotated.seal(&place(), &SECRET.into()).unwrap();
    assert_eq!(new.key_id(), "second");
}

#[test]
fn rewrapping_takes_the_first_key_and_keeps_the_secret() {
    let rotated = keys(&format!("{SECOND},{FIRST}"));
    let again = rotated.rewrap(&place(), sealed().as_bytes()).unwrap();
    let opened = keys(SECOND).open(&place(), &again).unwrap();
    assert_eq!(opened.expose_secret(), SECRET);
}

#[test]
fn a_key_that_is_missing_is_named_with_what_to_do() {
    let error = keys(SECOND).open(&place(), &sealed()).unwrap_err();
    let unknown = DecryptError::UnknownKey { id: "first".into() };
    assert_eq!(error, unknown);
    assert!(error.to_string().contains("AGENTAPI_ENCRYPTION_KEYS"));
}

#[test]
fn another_key_of_the_same_name_opens_nothing() {
    let other = keys(&SECOND.replace("second", "first"));
    let error = other.open(&place(), &sealed()).unwrap_err();
    assert!(matches!(error, DecryptError::Refused { .. }), "{error}");
}

#[test]
fn a_ciphertext_moved_to_another_tenant_or_row_is_refused() {
    let moved = [
        Location {
            tenant: TenantId(Uuid::from_u128(2)),
            ..place()
        },
        Location {
            row: Uuid::from_u128(3),
            ..place()
        },
        Location {
            tenant: TenantId(place().row),
            row: place().tenant.0,
            ..place()
        },
    ];
    for place in moved {
        let error = keys(FIRST).open(&place, &sealed()).unwrap_err();
        assert!(matches!(error, DecryptError::Refused { .. }), "{place:?}");
    }
}

#[test]
fn every_column_is_bound_by_its_table_and_name() {
    let names = |column: SealedColumn| [column.table(), column.column()];
    for column in SealedColumn::ALL {
        let place = Location { column, ..place() };
        let data = place.associated_data(b"");
        for name in names(column) {
            let with_length = [&(name.len() as u64).to_be_bytes(), name.as_bytes()].concat();
            let found = data
                .windows(with_length.len())
                .any(|part| part == with_length);
            assert!(found, "{name} is not in what {column:?} is bound to");
        }
        let same = SealedColumn::ALL.map(|other| names(other) == names(column));
        let count = same.into_iter().filter(|same| *same).count();
        assert_eq!(count, 1, "{column:?} shares its place with another column");
    }
}

#[test]
fn a_value_cut_at_any_length_is_refused() {
    let whole = sealed();
    for length in 0..whole.as_bytes().len() {
        let cut = Sealed::from_bytes(whole.as_bytes()[..length].to_vec());
        let opened = cut.is_ok_and(|cut| opens(&keys(FIRST), &cut));
        assert!(!opened, "cut to {length} bytes it opens");
    }
}

#[test]
fn a_value_with_any_bit_flipped_is_refused() {
    let whole = sealed().as_bytes().to_vec();
    // Every name that a flipped bit can make leads to the same key: only the
    // authentication of the header is between them.
    let mut names = vec![FIRST.to_owned()];
    for bit in 0..8 * "first".len() {
        let mut name = b"first".to_vec();
        name[bit / 8] ^= 1 << (bit % 8);
        if envelope::is_key_id(&name) {
            let name = String::from_utf8(name).unwrap();
            names.push(FIRST.replace("first", &name));
        }
    }
    let keys = keys(&names.join(","));
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let opened = Sealed::from_bytes(flipped).is_ok_and(|flipped| opens(&keys, &flipped));
        assert!(!opened, "with bit {bit} flipped it opens");
    }
}

#[test]
fn bytes_behind_the_tag_are_refused() {
    let mut longer = sealed().as_bytes().to_vec();
    longer.push(0);
    assert!(!opens(&keys(FIRST), &Sealed::from_bytes(longer).unwrap()));
}

#[test]
fn a_version_of_the_future_is_named() {
    let mut bytes = sealed().as_bytes().to_vec();
    bytes[0] = 2;
    let error = Sealed::from_bytes(bytes).unwrap_err();
    assert_eq!(error, MalformedEnvelope::Version(2));
}

#[test]
fn debug_output_and_errors_show_neither_key_nor_secret_nor_ciphertext() {
    let (ring, sealed) = (keys(FIRST), sealed());
    let error = keys(SECOND).open(&place(), &sealed).unwrap_err();
    let shown = format!("{ring:?} {sealed:?} {error:?} {error}");
    assert_eq!(
        format!("{ring:?} {sealed:?}"),
        r#"EncryptionKeys(["first"]) Sealed { key_id: "first", .. }"#
    );
    for secret in [SECRET, &FIRST["first:".len()..], "0123456789"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_by_position_and_not_repeated() {
    let short = "c2hvcnQ=";
    for (text, expected) in [
        ("first", "key 1 has no colon"),
        (":c2hvcnQ=", "key 1 needs an id"),
        ("a b:c2hvcnQ=", "key 1 has no colon"),
        ("ä:c2hvcnQ=", "key 1 needs an id"),
        (&format!("{FIRST},second:{short}"), "key 2 is not 32 bytes"),
        (&format!("{FIRST},{FIRST}"), r#"key 2 has the id "first""#),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
        assert!(!refusal.contains(short), "{refusal}");
    }
}

fn list(text: &str) -> KeyList {
    KeyList::parse(&text.into()).unwrap()
}

#[test]
fn a_new_key_decrypts_first_and_encrypts_when_it_is_activated() {
    let mut list = list(&format!("{FIRST}\n"));
    assert_eq!(list.add("first").unwrap(), "first-2");
    let added = keys(list.text().expose_secret());
    assert_eq!(added.ids().collect::<Vec<_>>(), ["first", "first-2"]);
    list.activate_last();
    let activated = keys(list.text().expose_secret());
    assert_eq!(activated.active(), "first-2");

    let sealed = activated.seal(&place(), &SECRET.into()).unwrap();
    assert!(
        opens(&added, &sealed),
        "replicas that were not restarted yet must read it"
    );
}

#[test]
fn a_key_that_was_taken_out_is_gone_and_the_others_stay() {
    let mut list = list(&format!("{SECOND},{FIRST}"));
    assert!(list.remove("first") && !list.remove("first"));
    assert_eq!(list.text().expose_secret(), SECOND);
}

#[test]
fn new_keys_are_never_the_same_and_are_not_shown() {
    let mut list = list("");
    list.add("a").unwrap();
    list.add("b").unwrap();
    let text = list.text();
    let (_, one) = text.expose_secret().split_once(':').unwrap();
    let (one, other) = one.split_once(",b:").unwrap();
    assert_ne!(one, other);
    assert_eq!(format!("{list:?}"), r#"KeyList(["a", "b"])"#);
}

#[test]
fn no_key_is_no_ring() {
    for text in ["", " ", ",\n,"] {
        assert!(EncryptionKeys::parse(&text.into()).unwrap().is_none());
    }
}

#[test]
fn keys_may_stand_on_lines_of_their_own() {
    let ring = keys(&format!("{FIRST}\n{SECOND}\n"));
    assert_eq!(ring.ids().collect::<Vec<_>>(), ["first", "second"]);
    assert!(ring.has("second") && !ring.has("third"));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_fail_otherwise_than_by_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        like_ours in any::<bool>(),
    ) {
        if like_ours && bytes.len() > 1 {
            bytes[0] = 1;
            bytes[1] %= 70;
        }
        if let Ok(read) = Sealed::from_bytes(bytes.clone()) {
            prop_assert_eq!(read.as_bytes(), bytes);
            prop_assert!(envelope::is_key_id(read.key_id().as_bytes()));
            prop_assert!(!opens(&keys(FIRST), &read));
        }
    }

    #[test]
    fn whatever_is_sealed_reads_back_as_it_was(secret in ".*", id in "[A-Za-z0-9._-]{1,64}") {
        let ring = keys(&FIRST.replace("first", &id));
        let sealed = ring.seal(&place(), &SecretString::from(secret.clone())).unwrap();
        let read = Sealed::from_bytes(sealed.as_bytes().to_vec()).unwrap();
        prop_assert_eq!(read.key_id(), id);
        let opened = ring.open(&place(), &read).unwrap();
        prop_assert_eq!(opened.expose_secret(), secret);
    }

    #[test]
    fn no_text_of_keys_makes_reading_fail_otherwise_than_by_an_error(text in "[a-c:,= \\PC]{0,80}") {
        let _ = EncryptionKeys::parse(&text.into());
    }

    #[test]
    fn no_two_places_have_the_same_associated_data(
        one in any::<(u128, u128)>(), other in any::<(u128, u128)>(), header in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        prop_assume!(one != other);
        let data = |(tenant, row)| Location {
            tenant: TenantId(Uuid::from_u128(tenant)),
            row: Uuid::from_u128(row),
            ..place()
        }.associated_data(&header);
        prop_assert_ne!(data(one), data(other));
    }
}
