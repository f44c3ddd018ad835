//! `agentapi-gateway serve`: organizations from the operator's ConfigMaps, PostgreSQL as the store.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{Embedding, Gateway, ServeError};
use crate::auth::ServiceAccounts;
use crate::config::Config;
use crate::store::Database;
use crate::tenants::kubernetes::{KubernetesSecrets, follow};

/// Serves the organizations of the cluster until `shutdown`.
///
/// # Errors
/// See [`ServeError`].
pub async fn on_kubernetes(config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    check(&config)?;
    super::assembly::install_crypto();
    let client = Client::try_default()
        .await
        .map_err(|error| ServeError::Kubernetes(error.into()))?;
    let embedding = Embedding {
        secrets: Arc::new(KubernetesSecrets::new(client.clone())),
        development: None,
        service_accounts: Some(ServiceAccounts::new(client.clone())),
        processes: false,
    };
    let gateway = Gateway::assemble(config, embedding).await?;
    let following = tokio::spawn(follow(client, gateway.installer(), gateway.synced()));
    let ready = |addresses: super::Addresses| {
        tracing::info!(public = %addresses.public, admin = %addresses.admin, "listening");
    };
    let served = gateway.run(shutdown, ready).await;
    following.abort();
    served
}

/// What serving needs beyond what embedding does: replicas share one store, and
/// the outside reaches them by one name.
fn check(config: &Config) -> Result<(), ServeError> {
    if config.public_url.is_none() {
        return Err(ServeError::NotSet {
            field: "public_url",
            variable: "AGENTAPI_PUBLIC_URL",
            example: "to where clients reach the gateway, for example https://agents.example.com",
        });
    }
    if config.audit_signing_key.is_none() {
        return Err(ServeError::NotSet {
            field: "audit_signing_key",
            variable: "AGENTAPI_AUDIT_SIGNING_KEY",
            example: "to an Ed25519 key in PEM: openssl genpkey -algorithm ed25519",
        });
    }
    match config
        .database_url
        .as_ref()
        .map(Database::of_url)
        .transpose()?
    {
        Some(Database::Sqlite) => Err(ServeError::SingleReplicaStore),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(variables: &[(&str, &str)]) -> String {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::read(variables).expect("the variables are valid");
        check(&config)
            .expect_err("the configuration cannot serve")
            .to_string()
    }

    #[test]
    fn sqlite_is_refused_because_replicas_cannot_share_it() {
        let refusal = refusal(&[
            ("AGENTAPI_PUBLIC_URL", "https://a.example"),
            ("AGENTAPI_AUDIT_SIGNING_KEY", "-----BEGIN PRIVATE KEY-----"),
            ("AGENTAPI_DATABASE_URL", "sqlite:x.db"),
        ]);
        assert!(refusal.contains("AGENTAPI_DATABASE_URL"), "{refusal}");
    }

    #[test]
    fn a_record_that_nobody_signs_is_refused() {
        let refusal = refusal(&[
            ("AGENTAPI_PUBLIC_URL", "https://a.example"),
            ("AGENTAPI_DATABASE_URL", "postgres://h/d"),
        ]);
        assert!(refusal.contains("AGENTAPI_AUDIT_SIGNING_KEY"), "{refusal}");
    }

    #[test]
    fn a_missing_public_url_is_refused_by_its_variable() {
        let refusal = refusal(&[("AGENTAPI_DATABASE_URL", "postgres://h/d")]);
        assert!(refusal.contains("AGENTAPI_PUBLIC_URL"), "{refusal}");
    }
}
