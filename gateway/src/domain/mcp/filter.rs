//! Which tools of a server are offered.

use agentapi_crds::tenant_config::ToolsConfig;
use globset::GlobSet;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::span;
use super::federation::{ListKind, rename_items};
use super::splice::{Edit, splice};
use crate::domain::globs::{self, GlobError};

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
    pub fn compile(config: &ToolsConfig) -> Result<Self, GlobError> {
        let allow = if config.allow.is_empty() {
            None
        } else {
            Some(globs::compile(&config.allow)?)
        };
        Ok(Self {
            allow,
            deny: globs::compile(&config.deny)?,
        })
    }

    /// Whether a tool is offered, by its own name.
    pub fn offers(&self, tool: &str) -> bool {
        !self.deny.is_match(tool) && self.allow.as_ref().is_none_or(|allow| allow.is_match(tool))
    }
}

/// A `tools/list` result of one server without the tools that are not offered;
/// every other byte stays. A result that is no such list becomes an empty one:
/// what cannot be read cannot be checked.
pub fn without_withheld(result: &str, offered: impl Fn(&str) -> bool) -> String {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        tools: &'a RawValue,
    }
    let listed = serde_json::from_str::<Listed<'_>>(result);
    let kept = rename_items(ListKind::Tools, result, None, offered);
    match (listed, kept) {
        (Ok(listed), Ok((kept, _))) => {
            let with = format!("[{}]", kept.join(","));
            let span = span(result, listed.tools.get());
            splice(result, &[Edit { span, with }])
        }
        _ => r#"{"tools":[]}"#.to_owned(),
    }
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

    #[test]
    fn withheld_tools_are_cut_out_and_the_rest_stays_as_it_is() {
        let result =
            r#"{"nextCursor":"2", "tools": [{"name":"a", "x":1.0}, {"name":"drop"}], "_meta":{}}"#;
        assert_eq!(
            without_withheld(result, |tool| tool != "drop"),
            r#"{"nextCursor":"2", "tools": [{"name":"a", "x":1.0}], "_meta":{}}"#
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_shows_nothing() {
        for result in [
            "7",
            "{}",
            r#"{"tools":{}}"#,
            r#"{"tools":[{"name":"drop"}],"tools":[]}"#,
            r#"{"tools":[{"name":"a","name":"drop"}]}"#,
        ] {
            let shown = without_withheld(result, |tool| tool != "drop");
            assert_eq!(shown, r#"{"tools":[]}"#, "{result}");
        }
    }
}
