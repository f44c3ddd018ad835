//! What servers, prompts and Secrets do to an organization's document.

use agentapi_e2e::eventually::eventually;
use anyhow::{Result, ensure};

use agentapi_e2e::organization::Organization;

const CLOCK: &str = "{remote: {url: 'https://clock.example.com/mcp'}}";
const CLOCK_WITH_TOKEN: &str =
    "{remote: {url: 'https://clock.example.com/mcp'}, auth: {bearer: {secretRef: {name: token}}}}";

#[tokio::test]
async fn a_bad_server_stalls_alone() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside("McpServer", "good", CLOCK)
        .await?;
    organization
        .apply_inside(
            "McpServer",
            "bad",
            "{remote: {url: 'https://bad.example.com/mcp'}, tools: {mode: Shadow}}",
        )
        .await?;
    let bad = ["mcpserver", "bad", "-n", &organization.namespace];
    organization
        .wait_for_reason(&bad, "Stalled", "NotSupported")
        .await?;
    organization.wait_for_servers(&["good"]).await?;
    let good = ["mcpserver", "good", "-n", &organization.namespace];
    organization
        .wait_for_reason(&good, "Ready", "Reconciled")
        .await?;
    organization.wait_for("Ready", "True").await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_server_that_becomes_bad_keeps_what_it_had() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK)
        .await?;
    organization.wait_for_servers(&["clock"]).await?;
    let before = organization.document().await?;
    organization
        .apply_inside(
            "McpServer",
            "clock",
            "{remote: {url: 'https://new.example.com/mcp'}, tools: {mode: Shadow}}",
        )
        .await?;
    let server = ["mcpserver", "clock", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Stalled", "NotSupported")
        .await?;
    // The organization has looked again once it knows of another, good change.
    organization
        .apply_inside("McpServer", "other", CLOCK)
        .await?;
    organization.wait_for_servers(&["clock", "other"]).await?;
    let after = organization.document().await?;
    ensure!(
        after.servers[0] == before.servers[0],
        "its entry became {:?}",
        after.servers[0]
    );
    organization.clean_up().await
}

#[tokio::test]
async fn the_gateway_may_read_a_secret_exactly_while_a_server_names_it() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.create_secret("token").await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK_WITH_TOKEN)
        .await?;
    organization.wait_for_servers(&["clock"]).await?;
    let role = organization
        .object("role", "agentapi-gateway-secrets")
        .await?;
    ensure!(
        role["rules"][0]["resourceNames"] == serde_json::json!(["token"]),
        "{}",
        role["rules"]
    );

    let place = ["-n", organization.namespace.as_str()];
    organization
        .cluster
        .kubectl(
            &[&["delete", "mcpserver", "clock"], &place[..]].concat(),
            "",
        )
        .await?;
    eventually("the Role is gone", async || {
        let role = organization
            .exists(
                "role",
                "agentapi-gateway-secrets",
                Some(&organization.namespace),
            )
            .await?;
        ensure!(!role, "it is still there");
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_server_goes_at_once_with_its_secret_and_comes_back_with_it() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.create_secret("token").await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK_WITH_TOKEN)
        .await?;
    organization.wait_for_servers(&["clock"]).await?;

    let place = ["-n", organization.namespace.as_str()];
    organization
        .cluster
        .kubectl(&[&["delete", "secret", "token"], &place[..]].concat(), "")
        .await?;
    organization.wait_for_servers(&[]).await?;
    let server = ["mcpserver", "clock", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Stalled", "SecretUnavailable")
        .await?;

    organization.create_secret("token").await?;
    organization.wait_for_servers(&["clock"]).await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_new_version_of_a_secret_is_a_new_revision_without_its_value() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.create_secret("token").await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK_WITH_TOKEN)
        .await?;
    organization.wait_for_servers(&["clock"]).await?;
    let before = organization.document().await?;
    let patch = r#"{"stringData":{"value":"rotated-value"}}"#;
    let arguments = [
        "patch",
        "secret",
        "token",
        "-n",
        &organization.namespace,
        "-p",
        patch,
    ];
    organization.cluster.kubectl(&arguments, "").await?;
    eventually("the document names the new version", async || {
        let after = organization.document().await?;
        ensure!(
            after.revision != before.revision,
            "it is still {}",
            before.revision
        );
        ensure!(
            !serde_json::to_string(&after)?.contains("rotated-value"),
            "it holds the value"
        );
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn prompts_of_the_platform_and_of_the_organization_are_in_its_document() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let global = format!("global-{}", organization.name);
    organization
        .cluster
        .apply(&format!(
            "apiVersion: agentapi.dev/v1alpha1\nkind: PromptPolicy\nmetadata: {{name: {global}, namespace: agentapi-system}}\nspec: {{template: platform}}\n"
        ))
        .await?;
    organization
        .apply_inside("PromptPolicy", "own", "{template: own}")
        .await?;
    organization
        .apply_inside("PromptPolicy", "broken", "{template: '{{ user'}")
        .await?;
    eventually(
        "both prompts are in the document, the global one first",
        async || {
            let document = organization.document().await?;
            let names: Vec<_> = document
                .prompts
                .iter()
                .map(|prompt| prompt.name.as_str())
                .collect();
            let global = names.iter().position(|name| *name == global);
            let own = names.iter().position(|name| *name == "own");
            ensure!(
                global.is_some() && global < own && !names.contains(&"broken"),
                "they are {names:?}"
            );
            Ok(())
        },
    )
    .await?;
    let broken = ["promptpolicy", "broken", "-n", &organization.namespace];
    organization
        .wait_for_reason(&broken, "Stalled", "InvalidSpec")
        .await?;
    organization
        .cluster
        .kubectl(
            &["delete", "promptpolicy", &global, "-n", "agentapi-system"],
            "",
        )
        .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_remote_server_is_suspended_with_its_organization_until_that_is_resumed() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK)
        .await?;
    let server = ["mcpserver", "clock", "-n", &organization.namespace];
    for (suspended, reason) in [
        (false, "Reconciled"),
        (true, "Suspended"),
        (false, "Reconciled"),
    ] {
        organization
            .apply(&format!("{{suspended: {suspended}}}"))
            .await?;
        organization
            .wait_for_reason(&server, "Ready", reason)
            .await?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn suspension_reaches_the_document() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.apply("{suspended: true}").await?;
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Ready", "Suspended")
        .await?;
    ensure!(
        organization.document().await?.suspended,
        "the document is not suspended"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn the_later_of_two_organizations_with_the_same_tokens_stalls_until_the_first_is_gone()
-> Result<()> {
    let (one, other) = (Organization::unborn()?, Organization::unborn()?);
    // Creation times have whole seconds; within one, the name decides.
    let (first, second) = if one.name < other.name {
        (one, other)
    } else {
        (other, one)
    };
    let spec = format!(
        "{{identity: {{issuers: [{{issuer: 'https://id.example.com', audiences: [a], organizationValue: {}}}]}}}}",
        first.name
    );
    first.apply(&spec).await?;
    first.wait_for("Ready", "True").await?;
    second.apply(&spec).await?;
    let object = ["organization", second.name.as_str()];
    second
        .wait_for_reason(&object, "Stalled", "IssuerConflict")
        .await?;
    first.wait_for("Ready", "True").await?;

    first.clean_up().await?;
    second.wait_for("Ready", "True").await?;
    second.clean_up().await
}

#[tokio::test]
async fn nothing_is_written_while_a_resource_is_paused() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let annotate = |value: &str| {
        let annotation = format!("agentapi.dev/paused{value}");
        let arguments =
            ["annotate", "organization", &organization.name, &annotation].map(str::to_owned);
        let cluster = &organization.cluster;
        async move {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            cluster.kubectl(&arguments, "").await
        }
    };
    annotate("=true").await?;
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Reconciling", "Paused")
        .await?;
    organization
        .apply_inside("McpServer", "clock", CLOCK)
        .await?;
    let server = ["mcpserver", "clock", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Ready", "Reconciled")
        .await?;
    let served = organization.served().await?;
    ensure!(
        served.is_empty(),
        "the paused organization serves {served:?}"
    );
    annotate("-").await?;
    organization.wait_for_servers(&["clock"]).await?;
    organization.clean_up().await
}
