//! `agentapi demo`: the first thing that a newcomer sees.

use anyhow::{Context, Result};

use crate::support::{Person, folder};

const STEPS: [&str; 9] = [
    "manifests",
    "server",
    "tokens",
    "session",
    "tools",
    "tool call",
    "prompt",
    "isolation",
    "audit",
];

#[tokio::test]
async fn it_takes_every_step_and_ends() -> Result<()> {
    let output = Person::new()?.run(&["demo", "--once"]).await?;
    let printed = String::from_utf8(output.stdout)?;
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (index, step) in STEPS.iter().enumerate() {
        let beginning = format!("[{}/9] ✓ {step} ", index + 1);
        assert!(
            printed.lines().any(|line| line.starts_with(&beginning)),
            "no `{beginning}`:\n{printed}"
        );
    }
    assert!(printed.contains("7 from notes (stdio)"), "{printed}");
    assert!(
        printed.contains(" · 5 of 5: imported Trip"),
        "progress must be shown:\n{printed}"
    );
    assert!(
        !printed.contains('\u{1b}'),
        "a pipe is no terminal:\n{printed}"
    );
    Ok(())
}

#[tokio::test]
async fn a_failing_step_is_told_with_its_cause_and_the_next_command() -> Result<()> {
    let manifests = folder(&[("bad.yaml", "kind: Gadget")])?;
    let path = manifests
        .path()
        .to_str()
        .context("the folder is not UTF-8")?;
    let output = Person::new()?
        .run(&["demo", "--once", "--manifests", path])
        .await?;
    let printed = String::from_utf8(output.stdout)?;
    assert!(!output.status.success(), "{printed}");
    assert!(printed.starts_with("[1/9] ✗ manifests"), "{printed}");
    assert!(
        printed.contains("bad.yaml: document 1: kind: unknown kind `Gadget`"),
        "{printed}"
    );
    assert!(
        printed
            .lines()
            .last()
            .unwrap_or_default()
            .trim()
            .starts_with("try: agentapi "),
        "{printed}"
    );
    Ok(())
}
