//! The gateway: hot operations, and its work against the bare statements that it needs.

mod audit;
mod hot;
mod redis;
mod rounds;
mod sessions;

use anyhow::Result;
use clap::ValueEnum;

use crate::arguments::{GatewayOptions, Subject};
use crate::report::{Report, write_json};

/// Measures all subjects, or those asked for, and prints a table.
///
/// # Errors
/// When something cannot be measured. A bar that is missed is no error: it is
/// in the table and in the JSON.
pub(crate) async fn measure(options: &GatewayOptions) -> Result<()> {
    let mut report = Report::default();
    let wanted = |subject: &Subject| options.only.is_empty() || options.only.contains(subject);
    for subject in Subject::value_variants()
        .iter()
        .filter(|&subject| wanted(subject))
    {
        match subject {
            Subject::Hot => hot::read(&options.criterion, &mut report)?,
            Subject::Audit => audit::measure(&mut report).await?,
            Subject::Sessions => sessions::measure(&mut report).await?,
            Subject::Redis => redis::measure(&mut report).await?,
        }
    }
    println!("{}", report.table());
    write_json(&options.output, &report)?;
    if !report.holds() {
        println!("not every bar holds");
    }
    Ok(())
}
