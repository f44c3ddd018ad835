//! Tokens of service accounts, as the API server itself gives them out.

use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use anyhow::{Result, ensure};
use http::{Method, StatusCode};

/// A token of a service account (TokenRequest API). Without audience it is for the API server.
async fn token(
    organization: &Organization,
    namespace: &str,
    account: &str,
    audience: Option<&str>,
) -> Result<String> {
    let mut arguments = vec!["create", "token", account, "-n", namespace];
    arguments.extend(
        audience
            .iter()
            .flat_map(|audience| ["--audience", audience]),
    );
    let token = organization.cluster.kubectl(&arguments, "").await?;
    Ok(token.trim().to_owned())
}

/// Makes a service account and returns a token of it for agents.
async fn runner(organization: &Organization, name: &str) -> Result<String> {
    let namespace = organization.namespace.as_str();
    let arguments = ["create", "serviceaccount", name, "-n", namespace];
    organization.cluster.kubectl(&arguments, "").await?;
    token(organization, namespace, name, Some("agentapi")).await
}

async fn ask(
    organization: &Organization,
    method: Method,
    path: &str,
    token: &str,
) -> Result<Answer> {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let gateway = Client::new(&organization.cluster.gateway);
    gateway.send(method, path, &headers, "{}").await
}

async fn becomes(organization: &Organization, token: &str, expected: StatusCode) -> Result<()> {
    eventually(&format!("{expected} for the token"), async || {
        let answer = ask(organization, Method::GET, "/v1/sessions", token).await?;
        ensure!(
            answer.status == expected,
            "it is {} {:?}",
            answer.status,
            answer.body
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_account_of_the_organizations_namespace_is_a_user_of_it() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let token = runner(&organization, "runner").await?;
    becomes(&organization, &token, StatusCode::OK).await?;
    let created = ask(&organization, Method::POST, "/v1/sessions", &token).await?;
    let session = created.json()?;
    ensure!(
        session["organization"] == organization.name.as_str()
            && session["user"]
                == format!("system:serviceaccount:{}:runner", organization.namespace),
        "the session is {session}"
    );
    let record = ask(&organization, Method::GET, "/v1/audit", &token).await?;
    ensure!(
        record.status == StatusCode::FORBIDDEN,
        "it is no administrator, and was answered {}",
        record.status
    );
    organization.clean_up().await
}

#[tokio::test]
async fn no_other_token_of_the_cluster_speaks_for_the_organization() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let other = Organization::ready("{}").await?;
    let own = runner(&organization, "runner").await?;
    let others = runner(&other, "runner").await?;
    becomes(&organization, &own, StatusCode::OK).await?;
    becomes(&organization, &others, StatusCode::OK).await?;

    let home = format!("/o/{}/mcp", organization.name);
    let namespace = organization.namespace.as_str();
    let refused = [
        ("of another organization", home.as_str(), others),
        (
            "of a namespace without organization",
            "/v1/sessions",
            token(&organization, "default", "default", Some("agentapi")).await?,
        ),
        (
            "for the API server",
            "/v1/sessions",
            token(&organization, namespace, "runner", None).await?,
        ),
        (
            "for the internal API",
            "/v1/sessions",
            token(
                &organization,
                namespace,
                "runner",
                Some("agentapi-internal"),
            )
            .await?,
        ),
    ];
    for (which, path, token) in refused {
        let answer = ask(&organization, Method::POST, path, &token).await?;
        ensure!(
            answer.status == StatusCode::UNAUTHORIZED,
            "a token {which} was answered {} {:?}",
            answer.status,
            answer.body
        );
    }
    other.clean_up().await?;
    organization.clean_up().await
}

#[tokio::test]
async fn an_organization_may_turn_service_accounts_off_and_on_again() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let token = runner(&organization, "runner").await?;
    becomes(&organization, &token, StatusCode::OK).await?;
    organization
        .apply("{identity: {serviceAccounts: false}}")
        .await?;
    becomes(&organization, &token, StatusCode::UNAUTHORIZED).await?;
    organization
        .apply("{identity: {serviceAccounts: true}}")
        .await?;
    becomes(&organization, &token, StatusCode::OK).await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_token_of_a_deleted_account_is_refused_before_it_expires() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let kept = runner(&organization, "kept").await?;
    let deleted = runner(&organization, "deleted").await?;
    let namespace = organization.namespace.as_str();
    let arguments = ["delete", "serviceaccount", "deleted", "-n", namespace];
    organization.cluster.kubectl(&arguments, "").await?;
    becomes(&organization, &kept, StatusCode::OK).await?;
    becomes(&organization, &deleted, StatusCode::UNAUTHORIZED).await?;
    organization.clean_up().await
}
