//! `agentapi dev`: what scripts hold on to.

use std::path::Path;

use agentapi_e2e::client::Client;
use anyhow::{Context, Result};
use http::{Method, StatusCode};

use crate::support::{Dev, Person, folder, samples};

/// A prompt policy of acme with this text.
fn prompt(text: &str) -> String {
    format!(
        "apiVersion: agentapi.dev/v1alpha1\nkind: PromptPolicy\nmetadata: {{name: tone, namespace: org-acme}}\nspec: {{template: '{text}'}}\n"
    )
}

async fn composed(dev: &Dev, token: &str) -> Result<String> {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = Client::new(&dev.address)
        .send(Method::POST, "/v1/prompts/preview", &headers, "{}")
        .await?;
    let text = answer.json()?["text"].as_str().map(str::to_owned);
    text.with_context(|| format!("no prompt was composed: {}", answer.status))
}

#[tokio::test]
async fn it_prints_exactly_one_line_and_ends_cleanly() -> Result<()> {
    let dev = Person::new()?.dev(samples(), &[]).await?;
    assert!(
        dev.address.starts_with("http://127.0.0.1:"),
        "{}",
        dev.address
    );
    assert_eq!(
        dev.stop().await?,
        "",
        "nothing may follow the ready line on standard output"
    );
    Ok(())
}

#[tokio::test]
async fn it_accepts_tokens_of_the_same_person_and_of_nobody_else() -> Result<()> {
    let (person, stranger) = (Person::new()?, Person::new()?);
    let dev = person.dev(samples(), &[]).await?;
    for (token, status) in [
        (person.token("acme", "alice").await?, StatusCode::OK),
        (
            stranger.token("acme", "alice").await?,
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        let answer = Client::new(&dev.address)
            .send(Method::GET, "/v1/sessions", &headers, "")
            .await?;
        assert_eq!(answer.status, status);
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_wrong_one_does_not() -> Result<()> {
    let person = Person::new()?;
    let token = person.token("acme", "alice").await?;
    let manifests = folder(&[("prompt.yaml", &prompt("first"))])?;
    let file = manifests.path().join("prompt.yaml");
    let mut dev = person.dev(manifests.path(), &[]).await?;
    assert_eq!(composed(&dev, &token).await?, "first");

    std::fs::write(&file, prompt("second"))?;
    dev.says("reloaded").await?;
    assert_eq!(composed(&dev, &token).await?, "second");

    std::fs::write(&file, prompt("third").replace("template", "tempalte"))?;
    dev.says("not reloaded, the last good state stays live")
        .await?;
    let error = dev
        .says(&format!("{}: document 1: spec", file.display()))
        .await?;
    assert!(
        error.contains("tempalte"),
        "the field must be named: {error}"
    );
    assert_eq!(
        composed(&dev, &token).await?,
        "second",
        "the last good state must stay live"
    );

    std::fs::write(&file, prompt("fourth"))?;
    dev.says("reloaded").await?;
    assert_eq!(composed(&dev, &token).await?, "fourth");
    Ok(())
}

#[tokio::test]
async fn an_organization_whose_file_is_removed_is_no_longer_served() -> Result<()> {
    let person = Person::new()?;
    let token = person.token("acme", "alice").await?;
    let other = "apiVersion: agentapi.dev/v1alpha1\nkind: Organization\nmetadata: {name: other}\nspec: {}\n";
    let manifests = folder(&[("other.yaml", other)])?;
    let mut dev = person.dev(manifests.path(), &[]).await?;
    composed(&dev, &token).await?;
    std::fs::remove_file(manifests.path().join("acme.yaml"))?;
    dev.says("reloaded").await?;
    assert!(composed(&dev, &token).await.is_err(), "acme must be gone");
    Ok(())
}

#[tokio::test]
async fn a_data_folder_keeps_sessions_over_a_restart() -> Result<()> {
    let person = Person::new()?;
    let token = format!("Bearer {}", person.token("acme", "alice").await?);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let data = tempfile::tempdir()?;
    let data = [
        "--data",
        data.path().to_str().context("the folder is not UTF-8")?,
    ];

    let dev = person.dev(samples(), &data).await?;
    let created = Client::new(&dev.address)
        .send(Method::POST, "/v1/sessions", &headers, "{}")
        .await?;
    let id = created.json()?["id"]
        .as_str()
        .context("no session was created")?
        .to_owned();
    dev.stop().await?;

    let dev = person.dev(samples(), &data).await?;
    let found = Client::new(&dev.address)
        .send(Method::GET, &format!("/v1/sessions/{id}"), &headers, "")
        .await?;
    assert_eq!(found.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn wrong_manifests_end_it_with_file_document_and_field() -> Result<()> {
    let server = |spec: &str| {
        format!(
            "---\napiVersion: agentapi.dev/v1alpha1\nkind: McpServer\nmetadata: {{name: x, namespace: org-acme}}\nspec: {spec}\n"
        )
    };
    let table = [
        ("malformed", "a: [".to_owned(), "bad.yaml: document 1: "),
        (
            "of an unknown kind",
            "apiVersion: v1\nkind: Gadget\nmetadata: {name: x}\n".to_owned(),
            "bad.yaml: document 1: kind: unknown kind `Gadget`",
        ),
        (
            "with an unknown field",
            server("{remote: {url: 'http://a.example/'}, remot: 1}"),
            "bad.yaml: document 1: spec.remot",
        ),
        (
            "of the wrong type",
            server("{remote: {url: 7}}"),
            "bad.yaml: document 1: spec.remote.url",
        ),
        (
            "that breaks a CEL rule",
            server("{}"),
            "bad.yaml: document 1: spec: exactly one of remote, container and stdio is required",
        ),
        (
            "wrong in its second document",
            format!(
                "{}{}",
                server("{remote: {url: 'http://a.example/'}}"),
                server("{}").replace("name: x", "name: y")
            ),
            "bad.yaml: document 2: spec",
        ),
    ];
    for (case, content, expected) in table {
        let manifests = folder(&[("bad.yaml", &content)])?;
        let path = manifests
            .path()
            .to_str()
            .context("the folder is not UTF-8")?;
        let output = Person::new()?
            .run(&["dev", "--manifests", path, "--listen", "127.0.0.1:0"])
            .await?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "a manifest {case}: {told}");
        assert!(told.contains(expected), "a manifest {case}: {told}");
        assert!(
            output.stdout.is_empty(),
            "a manifest {case}: nothing may be ready"
        );
        let last = told.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("try: agentapi "),
            "a manifest {case}: {told}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_that_does_not_exist_and_a_port_in_use_are_told_with_the_next_command()
-> Result<()> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let samples = samples().to_str().context("the folder is not UTF-8")?;
    let missing = Path::new("/nonexistent/manifests").display().to_string();
    for (arguments, code, expected) in [
        (
            ["dev", "--manifests", &missing, "--listen", "127.0.0.1:0"],
            2,
            "/nonexistent/manifests",
        ),
        (
            ["dev", "--manifests", samples, "--listen", &address],
            1,
            address.as_str(),
        ),
    ] {
        let output = Person::new()?.run(&arguments).await?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(
            told.lines().last().unwrap_or_default().starts_with("try: "),
            "{told}"
        );
    }
    Ok(())
}
