//! Verifying an exported record line by line, without any server.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use uuid::Uuid;

use super::claims::Claims;
use super::export::{ExportError, ExportFlaw, Finding, Header, Line, Trailer, VERSION};
use super::signing::VerifyingKeys;
use super::{ChainCheck, Checkpoint, CheckpointCheck, Mark, Record};

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportReport {
    /// The organization's name.
    pub organization: String,
    /// Chains read.
    pub writers: u64,
    /// Records read.
    pub records: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// The last checkpoint.
    pub last: Mark,
    /// Names of the keys that it was verified with.
    pub keys: Vec<String>,
    /// Most records lost when writers in buffered mode died.
    pub may_lack: u64,
}

/// Verifies an export line by line; remembers checkpoints' claims and one chain's head.
pub struct ExportCheck {
    trusted: Option<VerifyingKeys>,
    anchor: Option<Mark>,
    lines: u64,
    digest: digest::Context,
    part: Part,
}

/// Which part of the export comes next.
enum Part {
    Header,
    Body(Box<Body>),
    End(ExportReport),
}

struct Body {
    organization: String,
    tenant: Uuid,
    keys: VerifyingKeys,
    checkpoints: Vec<Checkpoint>,
    /// Known once the first record or the trailer is read.
    claims: Option<Claims>,
    last: Mark,
    may_lack: u64,
    chain: Option<ChainCheck>,
    seen: BTreeSet<Uuid>,
    records: u64,
}

impl ExportCheck {
    /// Before the first line. Without `trusted` keys those in the header are
    /// believed; `anchor` is the last checkpoint as it is known from elsewhere.
    pub fn new(trusted: Option<VerifyingKeys>, anchor: Option<Mark>) -> Self {
        Self {
            trusted,
            anchor,
            lines: 0,
            digest: digest::Context::new(&digest::SHA256),
            part: Part::Header,
        }
    }

    /// Looks at the next line, with its line break; returns what is wrong with it.
    ///
    /// # Errors
    /// When the line is not part of an export.
    pub fn line(&mut self, bytes: &[u8]) -> Result<Vec<Finding>, ExportError> {
        self.lines += 1;
        let line = self.lines;
        let parsed: Line =
            serde_json::from_slice(bytes).map_err(|source| ExportError::Line { line, source })?;
        let findings = match (&mut self.part, parsed) {
            (Part::Header, Line::Header(header)) => {
                self.part = Part::Body(Box::new(Body::new(header, self.trusted.take())?));
                Vec::new()
            }
            (Part::Body(body), Line::Checkpoint(checkpoint)) if body.claims.is_none() => {
                body.checkpoints.push(checkpoint);
                Vec::new()
            }
            (Part::Body(body), Line::Record(record)) => body.record(&record, &mut self.anchor),
            (Part::Body(body), Line::Trailer(trailer)) => {
                let digest = hex::encode(self.digest.clone().finish());
                let findings = body.trailer(&trailer, &digest, &mut self.anchor);
                let report = body.report();
                self.part = Part::End(report);
                findings
            }
            _ => return Err(ExportError::Place { line }),
        };
        self.digest.update(bytes);
        Ok(findings)
    }

    /// After the last line.
    ///
    /// # Errors
    /// When there was none.
    pub fn finish(self) -> Result<(ExportReport, Vec<Finding>), ExportError> {
        match self.part {
            Part::Header => Err(ExportError::Empty),
            Part::End(report) => Ok((report, Vec::new())),
            Part::Body(mut body) => {
                let mut findings = body.end(&mut self.anchor.clone());
                let line = self.lines;
                findings.push(Finding::Export(ExportFlaw::CutOff { line }));
                Ok((body.report(), findings))
            }
        }
    }
}

impl Body {
    fn new(header: Header, trusted: Option<VerifyingKeys>) -> Result<Self, ExportError> {
        if header.version != VERSION {
            let version = header.version;
            return Err(ExportError::Version { version });
        }
        let keys = match trusted {
            Some(trusted) => trusted,
            None => {
                VerifyingKeys::from_key_set(&header.keys.to_string()).map_err(ExportError::Keys)?
            }
        };
        Ok(Self {
            organization: header.organization,
            tenant: header.tenant,
            keys,
            checkpoints: Vec::new(),
            claims: None,
            last: Mark::default(),
            may_lack: 0,
            chain: None,
            seen: BTreeSet::new(),
            records: 0,
        })
    }

    fn record(&mut self, record: &Record, anchor: &mut Option<Mark>) -> Vec<Finding> {
        let mut findings = self.conclude_checkpoints(anchor);
        self.records += 1;
        let same = |chain: &ChainCheck| chain.writer() == record.writer;
        if !self.chain.as_ref().is_some_and(same) {
            findings.extend(self.conclude_chain());
            if !self.seen.insert(record.writer) {
                let writer = record.writer;
                findings.push(Finding::Export(ExportFlaw::Scattered { writer }));
            }
        }
        let claims = self.claims.get_or_insert_default();
        let chain = self
            .chain
            .get_or_insert_with(|| ChainCheck::new(record.writer, claims.remove(&record.writer)));
        findings.extend(chain.next(record).into_iter().map(Finding::Record));
        findings
    }

    fn trailer(
        &mut self,
        trailer: &Trailer,
        digest: &str,
        anchor: &mut Option<Mark>,
    ) -> Vec<Finding> {
        let mut findings = self.end(anchor);
        if trailer.digest != digest {
            findings.push(Finding::Export(ExportFlaw::Changed));
        }
        if !self
            .keys
            .verify(trailer.digest.as_bytes(), &trailer.signature)
        {
            let key = trailer.signature.key.clone();
            findings.push(Finding::Export(ExportFlaw::Signature { key }));
        }
        findings
    }

    /// After the last record: the chains that should be there and are not.
    fn end(&mut self, anchor: &mut Option<Mark>) -> Vec<Finding> {
        let mut findings = self.conclude_checkpoints(anchor);
        findings.extend(self.conclude_chain());
        for (writer, claim) in std::mem::take(self.claims.get_or_insert_default()) {
            let missing = ChainCheck::new(writer, Some(claim)).finish();
            findings.extend(missing.map(Finding::Record));
        }
        findings
    }

    fn conclude_checkpoints(&mut self, anchor: &mut Option<Mark>) -> Vec<Finding> {
        if self.claims.is_some() {
            return Vec::new();
        }
        let mut check = CheckpointCheck::new(&self.keys, self.tenant, anchor.take());
        let mut problems: Vec<_> = self
            .checkpoints
            .iter()
            .flat_map(|checkpoint| check.next(checkpoint))
            .collect();
        if let Some(last) = self.checkpoints.last() {
            self.last = Mark {
                number: check.number(),
                hash: last.hash(),
            };
        }
        let (missing, claims) = check.finish();
        problems.extend(missing);
        self.may_lack = claims.values().map(|claim| u64::from(claim.may_lack)).sum();
        self.claims = Some(claims);
        problems.into_iter().map(Finding::Checkpoint).collect()
    }

    fn conclude_chain(&mut self) -> Option<Finding> {
        self.chain.take()?.finish().map(Finding::Record)
    }

    fn report(&self) -> ExportReport {
        ExportReport {
            organization: self.organization.clone(),
            writers: self.seen.len() as u64,
            records: self.records,
            checkpoints: self.checkpoints.len() as u64,
            last: self.last.clone(),
            keys: self.keys.ids().map(str::to_owned).collect(),
            may_lack: self.may_lack,
        }
    }
}
