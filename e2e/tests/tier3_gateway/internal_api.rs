//! The internal API: for the operator only, and what it tells.

use agentapi_crds::internal_api::{OrganizationReport, REPORTS, ReportPage};
use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use agentapi_e2e::program::setting;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};

use super::caller::{runner, token};

const PLATFORM: &str = "agentapi-system";

/// Asks the internal API by a token.
pub(crate) async fn ask(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Answer> {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(
        authorization
            .as_deref()
            .map(|value| ("authorization", value)),
    );
    let gateway = Client::new(setting("AGENTAPI_TEST_GATEWAY_ADMIN_URL")?);
    gateway.send(method, path, &headers, body.to_owned()).await
}

/// A token as the operator has it.
pub(crate) async fn operators_token(organization: &Organization) -> Result<String> {
    token(
        organization,
        PLATFORM,
        "agentapi-operator",
        Some("agentapi-internal"),
    )
    .await
}

/// What the gateway reports of an organization.
async fn report(organization: &Organization, token: &str) -> Result<OrganizationReport> {
    let mut path = REPORTS.to_owned();
    loop {
        let answer = ask(Method::GET, &path, Some(token), "").await?;
        ensure!(
            answer.status == StatusCode::OK,
            "{} {:?}",
            answer.status,
            answer.body
        );
        let page: ReportPage = serde_json::from_slice(&answer.body)?;
        let mut reports = page.organizations.into_iter();
        if let Some(found) = reports.find(|report| report.organization == organization.name) {
            return Ok(found);
        }
        ensure!(page.more, "{} is not reported", organization.name);
        path = format!("{REPORTS}?instance={}&after={}", page.instance, page.cursor);
    }
}

#[tokio::test]
async fn nobody_but_the_operator_is_let_in() -> Result<()> {
    let organization = Organization::unborn()?;
    let operator = "agentapi-operator";
    let internal = Some("agentapi-internal");
    for (whose, token, expected) in [
        ("nobody's", None, StatusCode::UNAUTHORIZED),
        (
            "the operator's for the API server",
            Some(token(&organization, PLATFORM, operator, None).await?),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "the operator's for agents",
            Some(token(&organization, PLATFORM, operator, Some("agentapi")).await?),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "the gateway's",
            Some(token(&organization, PLATFORM, "agentapi-gateway", internal).await?),
            StatusCode::FORBIDDEN,
        ),
        (
            "another account's",
            Some(token(&organization, "default", "default", internal).await?),
            StatusCode::FORBIDDEN,
        ),
        (
            "the operator's",
            Some(operators_token(&organization).await?),
            StatusCode::OK,
        ),
    ] {
        let answer = ask(Method::GET, REPORTS, token.as_deref(), "").await?;
        ensure!(
            answer.status == expected,
            "{whose} token was answered {} {:?}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_organizations_token_for_the_internal_api_opens_nothing() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    runner(&organization, "agentapi-operator").await?;
    let audience = Some("agentapi-internal");
    let namespace = organization.namespace.as_str();
    let token = token(&organization, namespace, "agentapi-operator", audience).await?;
    let answer = ask(Method::GET, REPORTS, Some(&token), "").await?;
    ensure!(
        answer.status == StatusCode::FORBIDDEN,
        "it was answered {}",
        answer.status
    );
    organization.clean_up().await
}

#[tokio::test]
async fn the_operator_tells_when_the_gateway_serves_a_revision() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.wait_for("Applied", "True").await?;
    let token = operators_token(&organization).await?;
    let before = report(&organization, &token)
        .await?
        .served
        .context("it is served")?;
    ensure!(before.revision == organization.document().await?.revision);

    organization.apply("{displayName: Another}").await?;
    eventually("the new revision is applied", async || {
        let found = organization
            .cluster
            .get(&["organization", &organization.name])
            .await?;
        let revision = found["status"]["revision"].as_str();
        ensure!(
            revision != Some(before.revision.as_str()),
            "it is the old one still"
        );
        let conditions = found["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let applied = conditions
            .iter()
            .find(|condition| condition["type"] == "Applied");
        ensure!(
            applied.is_some_and(|applied| applied["status"] == "True"),
            "the conditions are {conditions:?}"
        );
        Ok(())
    })
    .await?;
    let after = report(&organization, &token)
        .await?
        .served
        .context("it is served")?;
    ensure!(after.revision == organization.document().await?.revision);
    organization.clean_up().await
}

#[tokio::test]
async fn a_document_that_the_gateway_cannot_use_is_reported_with_the_reason() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let token = operators_token(&organization).await?;
    let before = report(&organization, &token).await?.served;
    // Paused, so that the operator does not repair it at once.
    let paused =
        |value| format!(r#"{{"metadata":{{"annotations":{{"agentapi.dev/paused":{value}}}}}}}"#);
    let patch = async |patch: &str| {
        let arguments = [
            "patch",
            "organization",
            &organization.name,
            "--type=merge",
            "-p",
            patch,
        ];
        organization.cluster.kubectl(&arguments, "").await
    };
    patch(&paused(r#""true""#)).await?;
    organization
        .wait_for_reason(
            &["organization", &organization.name],
            "Reconciling",
            "Paused",
        )
        .await?;
    let broken = r#"{"data":{"tenant.json":"{\"minReader\":99,\"revision\":\"broken\"}"}}"#;
    let document = format!("tenant-{}", organization.name);
    let arguments = [
        "patch",
        "configmap",
        &document,
        "-n",
        "agentapi-tenants",
        "--type=merge",
        "-p",
        broken,
    ];
    let breaking = [&agentapi_e2e::organization::BREAK_GLASS[..], &arguments[..]].concat();
    organization.cluster.kubectl(&breaking, "").await?;

    eventually("the refusal is reported", async || {
        let report = report(&organization, &token).await?;
        let refused = report.refused.context("nothing is refused")?;
        ensure!(refused.revision.as_deref() == Some("broken"), "{refused:?}");
        ensure!(
            refused.message.contains("update the gateway"),
            "{refused:?}"
        );
        ensure!(
            report.served == before,
            "another document is served: {:?}",
            report.served
        );
        Ok(())
    })
    .await?;
    patch(&paused("null")).await?;
    eventually("the repaired document is served", async || {
        ensure!(
            report(&organization, &token).await?.refused.is_none(),
            "it is refused still"
        );
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

/// The operator's own view of the Service, by its own rights.
#[tokio::test]
async fn the_gateways_replicas_are_found_by_the_endpoints_of_its_service() -> Result<()> {
    let organization = Organization::unborn()?;
    let name = format!("gateway-{}", &organization.name);
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: {name}, namespace: {PLATFORM}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         ports: [{{name: admin, port: 9090, protocol: TCP}}]\n\
         endpoints: [{{addresses: [192.0.2.10], conditions: {{ready: true}}}}, {{addresses: [192.0.2.11], conditions: {{ready: false}}}}]\n"
    );
    organization.cluster.apply(&slice).await?;
    let listed = organization
        .cluster
        .get(&[
            "endpointslices",
            "-n",
            PLATFORM,
            "-l",
            &format!("kubernetes.io/service-name={name}"),
            "--as=system:serviceaccount:agentapi-system:agentapi-operator",
        ])
        .await?;
    let slices: Vec<k8s_openapi::api::discovery::v1::EndpointSlice> =
        serde_json::from_value(listed["items"].clone())?;
    let found = agentapi_operator::Replicas::of(&slices);
    let ready = |name: &str| found.all.get(name).and_then(|replica| replica.ready);
    ensure!(
        ready("192.0.2.10") == Some(true) && ready("192.0.2.11") == Some(false),
        "found {found:?}"
    );
    let arguments = ["delete", "endpointslice", &name, "-n", PLATFORM];
    organization.cluster.kubectl(&arguments, "").await.map(drop)
}
