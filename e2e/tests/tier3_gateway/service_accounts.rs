//! Tokens of service accounts, as the API server itself gives them out.

use agentapi_e2e::organization::Organization;
use anyhow::{Result, ensure};
use http::{Method, StatusCode};

use super::caller::{ask, becomes, runner, token};

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
