//! Which tools of a server are offered.

use agentapi_crds::tenant_config::ToolsConfig;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{glob:?} is not a glob")]
pub struct FilterError {
    glob: String,
    #[source]
    source: globset::Error,
}

/// Allowed and withheld tools. A withheld one is unknown, in lists and calls alike.
#[derive(Clone, Debug)]
pub struct ToolFilter {
    allow: Option<GlobSet>,
    deny: GlobSet,
}

impl ToolFilter {
    /// Compiles the globs of a server.
    ///
    /// # Errors
    /// For the first glob that is none.
    pub fn compile(config: &ToolsConfig) -> Result<Self, FilterError> {
        let allow = if config.allow.is_empty() {
            None
        } else {
            Some(globs(&config.allow)?)
        };
        Ok(Self {
            allow,
            deny: globs(&config.deny)?,
        })
    }

    /// Whether a tool is offered, by its own name.
    pub fn offers(&self, tool: &str) -> bool {
        !self.deny.is_match(tool) && self.allow.as_ref().is_none_or(|allow| allow.is_match(tool))
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, FilterError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        set.add(glob.map_err(|source| FilterError {
            glob: pattern.clone(),
            source,
        })?);
    }
    set.build().map_err(|source| FilterError {
        glob: patterns.join(", "),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], deny: &[&str]) -> ToolFilter {
        let own = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        ToolFilter::compile(&ToolsConfig {
            prefix: None,
            allow: own(allow),
            deny: own(deny),
        })
        .unwrap()
    }

    #[test]
    fn without_globs_everything_is_offered() {
        assert!(filter(&[], &[]).offers("anything"));
    }

    #[test]
    fn deny_wins_over_allow() {
        let filter = filter(&["notes/*"], &["*delete*"]);
        assert!(filter.offers("notes/add"));
        assert!(!filter.offers("notes/delete_all"));
        assert!(!filter.offers("other"));
    }
}
