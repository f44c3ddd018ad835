//! Redis from Debian's package, in memory only.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};

use crate::process::{Daemon, StopSignal};
use crate::state::State;
use crate::{http, packages};

const NAME: &str = "redis";

/// How to reach the running Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    /// With its password, to database 0.
    pub(crate) url: String,
}

impl Redis {
    /// Starts Redis unless it runs.
    ///
    /// # Errors
    /// When it is not installed (with what installs it) or does not start.
    pub(crate) fn up(state: &mut State) -> Result<Self> {
        let program = packages::redis_program()?;
        let password = state.password(NAME)?;
        if !state.runs(NAME)? {
            let port = state.port_to_listen_on(NAME)?;
            // In a file, because other users can read a command line.
            let settings = state.path("redis.conf");
            let text = format!(
                "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndir {}\n",
                state.path("").display()
            );
            OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&settings)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("cannot write {}", settings.display()))?;
            let daemon = Daemon {
                name: NAME,
                program,
                arguments: vec![settings.display().to_string()],
                environment: Vec::new(),
                directory: state.path(""),
                user: None,
                stop: StopSignal::Terminate,
            };
            state.start(&daemon, || http::accepts(port))?;
        }
        let port = state.port(NAME)?;
        Ok(Self {
            url: format!("redis://:{password}@127.0.0.1:{port}/0"),
        })
    }
}
