use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Headers, Retries, SecretFormatError, Selection, SigningSecrets};
use crate::domain::audit::{Action, Outcome};

fn secrets(text: &str) -> Result<SigningSecrets, SecretFormatError> {
    SigningSecrets::parse(&SecretString::from(text))
}

/// The standard's own example of a signature.
#[test]
fn a_signature_is_that_of_the_standard() {
    let secrets = secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = secrets.sign(r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn the_header_fields_are_what_is_signed() {
    let secrets = secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let now = Timestamp::from_second(1_614_265_330).unwrap();
    let headers = Headers::sign(&secrets, Uuid::nil(), now, "{}");
    let expected = secrets.sign("00000000-0000-0000-0000-000000000000.1614265330.{}");
    assert_eq!(headers.signature, expected);
}

#[test]
fn a_secret_under_rotation_signs_beside_the_new_one() {
    let both =
        secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    let signed = both.unwrap().sign("content");
    let [one, other] = signed.split(' ').collect::<Vec<_>>()[..] else {
        panic!("two signatures were expected, not {signed}");
    };
    assert_ne!(one, other);
}

#[test]
fn a_secret_that_is_none_is_refused_without_being_repeated() {
    let refused = ["", "hush", "whsec_!", "whsec_c2hvcnQ="].map(|text| secrets(text).err());
    assert_eq!(
        refused,
        [
            Some(SecretFormatError::Empty),
            Some(SecretFormatError::Malformed),
            Some(SecretFormatError::Malformed),
            Some(SecretFormatError::Length(5)),
        ]
    );
}

#[test]
fn a_sink_is_sent_what_its_globs_name() {
    let selection = Selection::compile(&["session.*".to_owned()]).unwrap();
    let includes = |action| selection.includes(action, Outcome::Success);
    assert_eq!(
        [Action::SessionCreate, Action::ToolCall].map(includes),
        [true, false]
    );
}

#[test]
fn a_sink_without_globs_is_sent_everything() {
    let selection = Selection::compile(&[]).unwrap();
    let left_out = Action::ALL
        .into_iter()
        .find(|action| !selection.includes(*action, Outcome::Denied));
    assert_eq!(left_out, None);
}

#[test]
fn an_intent_is_no_event() {
    let selection = Selection::compile(&[]).unwrap();
    assert!(!selection.includes(Action::ToolCall, Outcome::Intent));
}

#[test]
fn a_receiver_that_asks_for_more_time_gets_it() {
    let retries = Retries::default();
    let asked_for = Some(Duration::from_secs(60));
    assert_eq!(retries.pause(1, 0.5, asked_for), asked_for);
}

#[test]
fn a_receiver_cannot_put_an_event_off_for_ever() {
    let retries = Retries::new(vec![Duration::from_secs(10)]);
    let pause = retries.pause(1, 0.5, Some(Duration::MAX));
    assert_eq!(pause, Some(Duration::from_secs(10)));
}

#[test]
fn after_the_last_attempt_there_is_none() {
    let retries = Retries::default();
    let attempts = (1..).find(|attempts| retries.pause(*attempts, 0.5, None).is_none());
    assert_eq!(attempts, Some(10));
}

proptest! {
    #[test]
    fn jitter_stays_within_a_fifth(attempts in 1..=9u32, dice in 0.0..=1.0f64) {
        let retries = Retries::default();
        let exact = retries.pause(attempts, 0.5, None).unwrap().as_secs_f64();
        let pause = retries.pause(attempts, dice, None).unwrap().as_secs_f64();
        prop_assert!((pause - exact).abs() <= exact * 0.2 + 1e-6, "{pause} of {exact}");
    }

    #[test]
    fn no_text_makes_reading_a_secret_panic(text in ".{0,200}") {
        let _ = secrets(&text);
    }
}
