//! Globs of names, as tenants write them.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{glob:?} is not a glob")]
pub struct GlobError {
    glob: String,
    #[source]
    source: globset::Error,
}

/// One matcher for all the globs. `*` matches every character, `/` included.
///
/// # Errors
/// For the first glob that is none.
pub(super) fn compile(globs: &[String]) -> Result<GlobSet, GlobError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let compiled = GlobBuilder::new(glob).literal_separator(false).build();
        set.add(compiled.map_err(|source| GlobError {
            glob: glob.clone(),
            source,
        })?);
    }
    set.build().map_err(|source| GlobError {
        glob: globs.join(", "),
        source,
    })
}
