//! `agentapi audit verify` on an export of the embedded mode.

use std::process::Output;

use agentapi_e2e::client::Client;
use anyhow::{Context, Result};
use http::{Method, StatusCode};

use super::support::{Person, folder};

/// An export of a record with a closed chain, its last checkpoint and its keys.
struct Export {
    person: Person,
    lines: Vec<String>,
    keys: String,
}

impl Export {
    async fn make() -> Result<Self> {
        let person = Person::new()?;
        let (manifests, data) = (folder(&[])?, tempfile::tempdir()?);
        let data = data.path().to_str().context("the folder is not UTF-8")?;
        let token = format!("Bearer {}", person.token("acme", "alice").await?);
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
        ];
        let dev = person.dev(manifests.path(), &["--data", data]).await?;
        for _ in 0..3 {
            let client = Client::new(&dev.address);
            let created = client
                .send(Method::POST, "/v1/sessions", &headers, "{}")
                .await?;
            assert_eq!(created.status, StatusCode::CREATED);
        }
        // The end closes the chain and states so in a checkpoint.
        dev.stop().await?;
        let dev = person.dev(manifests.path(), &["--data", data]).await?;
        let client = Client::new(&dev.address);
        let export = client
            .send(Method::GET, "/v1/audit/export", &headers, "")
            .await?;
        assert_eq!(export.status, StatusCode::OK);
        let keys = client
            .send(Method::GET, "/v1/audit/keys", &headers, "")
            .await?;
        dev.stop().await?;
        let text = String::from_utf8(export.body.to_vec())?;
        Ok(Self {
            person,
            lines: text.split_inclusive('\n').map(str::to_owned).collect(),
            keys: keys.json()?.to_string(),
        })
    }

    async fn verify(&self, lines: &[String]) -> Result<(Option<i32>, String)> {
        let folder = tempfile::tempdir()?;
        let (file, keys) = (
            folder.path().join("audit.jsonl"),
            folder.path().join("keys.json"),
        );
        std::fs::write(&file, lines.concat())?;
        std::fs::write(&keys, &self.keys)?;
        let paths = [&file, &keys].map(|path| path.to_string_lossy().into_owned());
        let arguments = ["audit", "verify", &paths[0], "--keys", &paths[1]];
        Ok(told(self.person.run(&arguments).await?))
    }

    /// Where a record of the first chain stands.
    fn record(&self, sequence: u64) -> Result<usize> {
        let wanted = format!("\"sequence\":{sequence},");
        let is_record =
            |line: &String| line.contains("\"type\":\"record\"") && line.contains(&wanted);
        self.lines
            .iter()
            .position(is_record)
            .context("there is no such record")
    }
}

fn told(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test]
async fn an_export_verifies_and_what_was_done_to_it_is_named() -> Result<()> {
    let export = Export::make().await?;
    let (code, told) = export.verify(&export.lines).await?;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("verified") && !told.contains("checkpoints   none"),
        "{told}"
    );

    let mut changed = export.lines.clone();
    changed[export.record(3)?] =
        changed[export.record(3)?].replace("workspace/default", "workspace/defaced");
    let mut removed = export.lines.clone();
    removed.remove(export.record(3)?);
    let mut moved = export.lines.clone();
    moved.swap(export.record(3)?, export.record(4)?);
    let mut cut = export.lines.clone();
    cut.drain(export.record(5)?..=export.record(6)?);
    let cases = [
        ("changed", changed, "record 3 of writer"),
        ("removed", removed, "record 3 of writer"),
        ("moved", moved, "record 3 of writer"),
        ("cut", cut, "record 5 of writer"),
        (
            "cut off",
            export.lines[..export.lines.len() - 1].to_vec(),
            "the export was cut off",
        ),
    ];
    for (what, lines, named) in cases {
        let (code, told) = export.verify(&lines).await?;
        assert_eq!(code, Some(1), "{what}: {told}");
        let error = told.lines().find(|line| line.starts_with("error: "));
        assert!(
            error.is_some_and(|error| error.contains(named)),
            "{what}: {told}"
        );
    }
    let (code, told) = export.verify(&["no export\n".to_owned()]).await?;
    assert_eq!(code, Some(2), "{told}");
    Ok(())
}
