//! `agentapi audit verify FILE`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use agentapi_gateway::domain::audit::{
    ExportCheck, ExportError, ExportReport, Finding, Mark, VerifyingKeys,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::output;

/// Findings printed at most; the rest is counted.
const PRINTED: usize = 20;
/// Longest line that is read, in bytes: a full checkpoint of ten thousand chains has two million.
const LONGEST_LINE: u64 = 16 << 20;
/// Where exports come from.
const EXPORT: &str =
    "curl -H \"Authorization: Bearer $TOKEN\" $GATEWAY/v1/audit/export > audit.jsonl";

/// What to verify, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The export: what GET /v1/audit/export answered
    file: PathBuf,
    /// A JSON Web Key Set of the keys to trust, had from elsewhere than the file
    /// (GET /v1/audit/keys); without it the keys in the file are believed
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The last checkpoint as the gateway logged it: shows that the end was not
    /// cut off together with its checkpoints
    #[arg(long, value_name = "NUMBER:HASH")]
    anchor: Option<Mark>,
}

/// Verifies, and says what was found.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let trusted = arguments.keys.as_deref().map(read_keys).transpose()?;
    let from_file = trusted.is_none();
    let found = Found::read(&arguments.file, ExportCheck::new(trusted, arguments.anchor))?;
    found.print(from_file)?;
    found.conclude(&arguments.file)
}

fn read_keys(path: &Path) -> Result<VerifyingKeys, Failure> {
    let next = "curl -H \"Authorization: Bearer $TOKEN\" $GATEWAY/v1/audit/keys > keys.json";
    let failed = || Failure::invalid_input(format!("{} holds no keys", path.display()), next);
    let text = std::fs::read_to_string(path).map_err(|error| failed().because(error))?;
    VerifyingKeys::from_key_set(&text).map_err(|error| failed().because(error))
}

struct Found {
    report: ExportReport,
    /// The first ones.
    findings: Vec<Finding>,
    number: usize,
}

impl Found {
    fn read(path: &Path, mut check: ExportCheck) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| {
            let what = format!("{} cannot be read", path.display());
            Failure::invalid_input(what, EXPORT).because(error)
        };
        let no_export = |error: ExportError| {
            let what = format!("{} is no export of an audit record", path.display());
            Failure::invalid_input(what, EXPORT).because(error)
        };
        let file = File::open(path).map_err(unreadable)?;
        let progress = progress(file.metadata().map_err(unreadable)?.len());
        let mut input = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut findings, mut number) = (Vec::new(), Vec::new(), 0);
        let mut keep = |found: Vec<Finding>| {
            number += found.len();
            let room = PRINTED.saturating_sub(findings.len());
            findings.extend(found.into_iter().take(room));
        };
        loop {
            line.clear();
            let read = input
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
                .map_err(unreadable)?;
            if read == 0 {
                break;
            }
            keep(check.line(&line).map_err(no_export)?);
            progress.inc(read as u64);
        }
        progress.finish_and_clear();
        let (report, last) = check.finish().map_err(no_export)?;
        keep(last);
        Ok(Self {
            report,
            findings,
            number,
        })
    }

    fn print(&self, from_file: bool) -> Result<(), Failure> {
        let report = &self.report;
        output::line(&format!("organization  {}", report.organization))?;
        let (records, writers) = (report.records, report.writers);
        output::line(&format!("records       {records} in {writers} chains"))?;
        let (checkpoints, last) = (report.checkpoints, &report.last);
        match checkpoints {
            0 => output::line("checkpoints   none: a tail that was cut off would not be seen")?,
            _ => output::line(&format!("checkpoints   {checkpoints}, the last one {last}"))?,
        }
        let whose = match from_file {
            true => "found in the file: compare with GET /v1/audit/keys, or give --keys",
            false => "trusted",
        };
        output::line(&format!(
            "keys          {} ({whose})",
            report.keys.join(", ")
        ))?;
        if report.may_lack > 0 {
            let most = report.may_lack;
            output::line(&format!(
                "may lack      at most {most} buffered records of processes that died"
            ))?;
        }
        for finding in &self.findings {
            output::line(&format!("✗ {finding}"))?;
        }
        match self.number - self.findings.len() {
            0 => Ok(()),
            more => output::line(&format!("✗ and {more} more")),
        }
    }

    fn conclude(&self, path: &Path) -> Result<(), Failure> {
        let Some(first) = self.findings.first() else {
            return output::line("verified: the record is whole");
        };
        let next = "agentapi audit verify with a new export, to see whether the record itself or only this file was changed";
        let what = format!("the record in {} is not whole: {first}", path.display());
        Err(Failure::new(what, next))
    }
}

/// A bar on a terminal, for files that take a while.
fn progress(bytes: u64) -> ProgressBar {
    const WORTH_A_BAR: u64 = 4 << 20;
    if bytes < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
