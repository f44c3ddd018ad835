//! Writes the three CustomResourceDefinitions into a folder.
//!
//! Usage: `generate-crds [DIRECTORY]`; without an argument, the chart's
//! templates under the current directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use agentapi_crds::definition;

fn main() -> ExitCode {
    let directory = env::args()
        .nth(1)
        .unwrap_or_else(|| definition::DIRECTORY.to_owned());
    match generate(&PathBuf::from(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the definitions to {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(directory: &PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(directory)?;
    for (name, content) in definition::files()? {
        fs::write(directory.join(name), content)?;
    }
    Ok(())
}
