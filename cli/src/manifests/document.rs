//! Files and the YAML documents in them.

use std::path::{Path, PathBuf};

use agentapi_crds::admission::FieldError;
use serde::Deserialize;
use serde_json::Value;

use super::{DocumentError, ManifestsError, Origin};

/// Extensions of files that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One document of a file.
pub(super) struct Document {
    pub(super) origin: Origin,
    pub(super) content: Value,
}

/// The files of a folder that hold manifests, sorted; folders inside it are not looked into.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, ManifestsError> {
    let failed = |source| ManifestsError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden && extension.is_some_and(|found| EXTENSIONS.contains(&found)) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(ManifestsError::Empty(folder.to_owned()));
    }
    files.sort();
    Ok(files)
}

/// The documents of a file without empty ones. What is not YAML is an error in
/// the place of a document, and the last one: nothing after it can be trusted.
pub(super) fn read(
    file: &Path,
) -> Result<Vec<Result<Document, Vec<DocumentError>>>, ManifestsError> {
    let text = std::fs::read_to_string(file).map_err(|source| ManifestsError::Read {
        path: file.to_owned(),
        source,
    })?;
    let mut documents = Vec::new();
    for (index, deserializer) in serde_yaml::Deserializer::from_str(&text).enumerate() {
        let origin = Origin {
            file: file.to_owned(),
            document: index + 1,
        };
        match parse(deserializer) {
            Ok(Value::Null) => {}
            Ok(content) => documents.push(Ok(Document { origin, content })),
            Err(message) => {
                let error = FieldError {
                    path: String::new(),
                    message,
                };
                documents.push(Err(DocumentError::at(&origin, vec![error])));
                break;
            }
        }
    }
    Ok(documents)
}

/// Reads by way of YAML's own value, which refuses a key that is there twice.
fn parse(deserializer: serde_yaml::Deserializer<'_>) -> Result<Value, String> {
    let yaml = serde_yaml::Value::deserialize(deserializer).map_err(|error| error.to_string())?;
    serde_json::to_value(yaml).map_err(|error| error.to_string())
}
