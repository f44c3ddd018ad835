//! What is done to a record and its export is found: cut tails, rewritten chains, removed checkpoints.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::signing::tests::signer;
use super::*;

const TENANT: Uuid = Uuid::from_u128(0xACE);
const WRITER: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);

/// Records of one chain; `variant` makes chains that differ and verify all the same.
fn chain(length: usize, variant: &str) -> Vec<Record> {
    let mut head = Head::default();
    (0..length)
        .map(|number| {
            let entry = Entry {
                context: Arc::new(Context {
                    organization: "acme".to_owned(),
                    actor: "alice".to_owned(),
                    api_key: None,
                    request_id: format!("request-{number}"),
                    address: "192.0.2.7".to_owned(),
                    user_agent: "curl/8".to_owned(),
                }),
                action: Action::ToolCall,
                resource: format!("notes/{variant}"),
                outcome: Outcome::Success,
                reason: None,
            };
            let stamp = Stamp {
                id: Uuid::from_u128(number as u128),
                time: time(),
                key: [number as u8; 16],
            };
            let record = head.seal(WRITER, stamp, &entry);
            head = Head::after(&record);
            record
        })
        .collect()
}

fn time() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("in range")
}

fn head(record: &Record, state: ChainState) -> ChainHead {
    ChainHead {
        writer: record.writer,
        sequence: record.sequence,
        hash: record.hash.clone(),
        state,
        may_lack: 0,
    }
}

fn mark(checkpoint: &Checkpoint) -> Mark {
    Mark {
        number: checkpoint.statement().expect("a statement").number,
        hash: checkpoint.hash(),
    }
}

/// An organization's record: a chain, and a checkpoint at each given position.
struct Exported {
    signer: Signer,
    checkpoints: Vec<Checkpoint>,
    records: Vec<Record>,
}

impl Exported {
    fn new(length: usize, stated: &[usize]) -> Self {
        let (signer, records) = (signer(), chain(length, "add"));
        let mut last = Mark::default();
        let checkpoints = stated
            .iter()
            .map(|position| {
                let heads = vec![head(&records[position - 1], ChainState::Open)];
                let made = Checkpoint::sign(&signer, TENANT, &last, time(), false, heads);
                last = mark(&made);
                made
            })
            .collect();
        Self {
            signer,
            checkpoints,
            records,
        }
    }

    fn anchor(&self) -> Mark {
        self.checkpoints.last().map(mark).unwrap_or_default()
    }

    fn lines(&self) -> Vec<String> {
        let header = Header::new(TENANT, "acme".to_owned(), time(), &self.signer);
        let mut lines = vec![Line::Header(header)];
        lines.extend(self.checkpoints.iter().cloned().map(Line::Checkpoint));
        let record = |record: &Record| Line::Record(Box::new(record.clone()));
        lines.extend(self.records.iter().map(record));
        let mut texts: Vec<String> = lines.iter().map(text).collect();
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, texts.concat().as_bytes());
        let digest = hex::encode(digest);
        texts.push(text(&Line::Trailer(Trailer {
            records: self.records.len() as u64,
            signature: self.signer.sign(digest.as_bytes()),
            digest,
        })));
        texts
    }
}

fn text(line: &Line) -> String {
    format!("{}\n", serde_json::to_string(line).expect("a line"))
}

fn verify(lines: &[String], anchor: Option<Mark>) -> Vec<String> {
    let mut check = ExportCheck::new(None, anchor);
    let mut findings = Vec::new();
    for line in lines {
        findings.extend(check.line(line.as_bytes()).expect("part of an export"));
    }
    findings.extend(check.finish().expect("an export").1);
    findings.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn expect_only(findings: &[String], expected: &str) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains(expected), "{findings:?}");
}

#[test]
fn an_untouched_export_verifies() {
    let exported = Exported::new(9, &[3, 6]);
    assert_eq!(verify(&exported.lines(), Some(exported.anchor())), [""; 0]);
}

#[test]
fn a_tail_that_was_cut_from_the_record_is_named() {
    let mut exported = Exported::new(9, &[3, 6]);
    exported.records.truncate(4);
    expect_only(&verify(&exported.lines(), None), "record 5 of writer");
}

#[test]
fn a_chain_that_was_removed_whole_is_named() {
    let mut exported = Exported::new(9, &[3, 6]);
    exported.records.clear();
    expect_only(&verify(&exported.lines(), None), "record 1 of writer");
}

#[test]
fn a_tail_cut_together_with_its_checkpoint_is_seen_by_the_anchor() {
    let mut exported = Exported::new(9, &[3, 6]);
    let anchor = exported.anchor();
    exported.records.truncate(4);
    exported.checkpoints.pop();
    assert_eq!(
        verify(&exported.lines(), None),
        [""; 0],
        "there is no other trace"
    );
    expect_only(
        &verify(&exported.lines(), Some(anchor)),
        "checkpoint 2: is missing",
    );
}

#[test]
fn a_chain_that_was_rewritten_is_named_where_a_checkpoint_states_it() {
    let mut exported = Exported::new(9, &[3, 6]);
    exported.records = chain(9, "another");
    let findings = verify(&exported.lines(), None);
    assert!(
        findings[0].starts_with("record 3 of writer"),
        "{findings:?}"
    );
}

#[test]
fn a_checkpoint_that_was_removed_is_named() {
    let mut exported = Exported::new(9, &[3, 5, 6]);
    exported.checkpoints.remove(1);
    expect_only(&verify(&exported.lines(), None), "checkpoint 2: is missing");
}

#[test]
fn a_checkpoint_signed_by_another_key_states_nothing() {
    let mut exported = Exported::new(9, &[3]);
    let forged = chain(2, "add");
    let heads = vec![head(&forged[1], ChainState::Closed)];
    let foreign = Checkpoint::sign(&signer(), TENANT, &Mark::default(), time(), false, heads);
    exported.checkpoints = vec![foreign];
    expect_only(
        &verify(&exported.lines(), None),
        "checkpoint 1: was changed",
    );
}

#[test]
fn a_checkpoint_of_another_organization_is_refused() {
    let mut exported = Exported::new(1, &[]);
    let other = Uuid::from_u128(7);
    let made = Checkpoint::sign(
        &exported.signer,
        other,
        &Mark::default(),
        time(),
        false,
        vec![],
    );
    exported.checkpoints = vec![made];
    expect_only(&verify(&exported.lines(), None), "belongs to tenant");
}

#[test]
fn a_record_added_to_a_closed_chain_is_named() {
    let mut exported = Exported::new(5, &[]);
    let heads = vec![head(&exported.records[2], ChainState::Closed)];
    let made = Checkpoint::sign(
        &exported.signer,
        TENANT,
        &Mark::default(),
        time(),
        false,
        heads,
    );
    exported.checkpoints = vec![made];
    expect_only(&verify(&exported.lines(), None), "record 4 of writer");
}

#[test]
fn a_chain_whose_time_was_over_need_not_be_there() {
    let mut exported = Exported::new(5, &[]);
    let heads = vec![head(&exported.records[4], ChainState::Dropped)];
    let made = Checkpoint::sign(
        &exported.signer,
        TENANT,
        &Mark::default(),
        time(),
        true,
        heads,
    );
    exported.checkpoints = vec![made];
    exported.records.clear();
    assert_eq!(verify(&exported.lines(), None), [""; 0]);
}

#[test]
fn checkpoints_before_a_full_one_need_not_be_there() {
    let mut exported = Exported::new(5, &[2]);
    let heads = vec![head(&exported.records[4], ChainState::Open)];
    let last = exported.anchor();
    let full = Checkpoint::sign(&exported.signer, TENANT, &last, time(), true, heads);
    exported.checkpoints = vec![full];
    assert_eq!(verify(&exported.lines(), None), [""; 0]);
}

#[test]
fn an_export_that_was_cut_off_says_so() {
    let exported = Exported::new(9, &[3]);
    let mut lines = exported.lines();
    lines.truncate(7);
    expect_only(&verify(&lines, None), "after line 7");
}

#[test]
fn a_changed_line_is_named_and_does_not_match_the_signed_digest() {
    let mut lines = Exported::new(9, &[3]).lines();
    lines[5] = lines[5].replace("notes/add", "notes/del");
    let findings = verify(&lines, None);
    assert!(
        findings[0].starts_with("record 4 of writer"),
        "{findings:?}"
    );
    assert!(
        findings.last().is_some_and(|last| last.contains("trailer")),
        "{findings:?}"
    );
}

#[test]
fn an_export_is_verified_with_the_keys_one_trusts() {
    let exported = Exported::new(1, &[]);
    let mut check = ExportCheck::new(Some(signer().keys().clone()), None);
    let findings: Vec<_> = exported
        .lines()
        .iter()
        .flat_map(|line| check.line(line.as_bytes()).expect("part of an export"))
        .collect();
    assert!(
        matches!(
            findings.as_slice(),
            [Finding::Export(ExportFlaw::Signature { .. })]
        ),
        "{findings:?}"
    );
}

#[test]
fn what_is_no_export_is_refused_by_its_line() {
    let refused = ExportCheck::new(None, None).line(b"{\"type\":\"trailer\"}\n");
    assert!(
        matches!(refused, Err(ExportError::Line { line: 1, .. })),
        "{refused:?}"
    );
}
