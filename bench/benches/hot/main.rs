//! Hot operations of the gateway, one module a subject. `cargo bench --package
//! agentapi-bench` measures them, `cargo xtask bench gateway` puts them into its table.

mod access;
mod audit;
mod identity;
mod limits;
mod mcp;
mod organization;
mod prompts;
mod telemetry;
mod tenants;
mod upstream;

use anyhow::Result;
use criterion::Criterion;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    access::measure(&mut criterion)?;
    audit::measure(&mut criterion)?;
    identity::measure(&mut criterion)?;
    limits::measure(&mut criterion);
    mcp::measure(&mut criterion)?;
    prompts::measure(&mut criterion)?;
    telemetry::measure(&mut criterion)?;
    tenants::measure(&mut criterion)?;
    upstream::measure(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
