//! Puts documents into service. One that cannot be used changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentapi_crds::tenant_config::{TenantConfig, TenantConfigError};

use super::compile::{CompileError, Environment, compile};
use super::{Removals, Reports, Tenant, Tenants};
use crate::telemetry::Metrics;

/// Why a document was not put into service. The organization's previous one still is.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The document cannot be read.
    #[error(transparent)]
    Document(#[from] TenantConfigError),
    /// The document cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Another organization has the tenant id: its rows would be shared.
    #[error("tenant id {tenant} belongs to organization {organization}: no two may have the same")]
    TenantTaken {
        /// The id.
        tenant: uuid::Uuid,
        /// Who has it.
        organization: String,
    },
}

/// Puts documents into service. Cloning is cheap. Documents of one organization
/// are to be installed one after the other, by one source.
#[derive(Clone)]
pub struct Installer {
    tenants: Tenants,
    environment: Arc<Environment>,
    reports: Reports,
    removals: Removals,
    metrics: Metrics,
}

impl Installer {
    /// An installer into `tenants`. What it takes out of service goes to `removals`.
    pub fn new(
        tenants: Tenants,
        environment: Environment,
        removals: Removals,
        metrics: Metrics,
    ) -> Self {
        Self {
            tenants,
            environment: Arc::new(environment),
            reports: Reports::default(),
            removals,
            metrics,
        }
    }

    /// What was installed and what was refused.
    pub fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Reads, compiles and swaps in a document. May take milliseconds.
    ///
    /// # Errors
    /// See [`InstallError`]; it is counted, and nothing changed.
    pub fn install_document(&self, document: &str) -> Result<(), InstallError> {
        let config = self.counted(TenantConfig::read(document).map_err(InstallError::from))?;
        self.install(config)
    }

    /// Compiles and swaps in a configuration. May take milliseconds.
    ///
    /// # Errors
    /// See [`InstallError`]; it is counted, and nothing changed.
    pub fn install(&self, config: TenantConfig) -> Result<(), InstallError> {
        let tenant = self.counted(self.compiled(config))?;
        tracing::info!(
            organization = tenant.config.organization,
            revision = tenant.config.revision,
            servers = tenant.servers.len(),
            "organization is served"
        );
        let tenant = Arc::new(tenant);
        let organization = &tenant.config.organization;
        let before = self.tenants.get(organization);
        let put = || self.tenants.put_shared(tenant.clone());
        match before.filter(|before| before.id != tenant.id) {
            // One of the same name was deleted, and this one made, while nobody looked.
            Some(before) => self.removals.begin(before, put),
            None => put(),
        }
        self.reports.served(&tenant);
        self.metrics.tenants(self.tenants.len());
        Ok(())
    }

    /// Takes an organization out of service.
    pub fn remove(&self, organization: &str) {
        if let Some(before) = self.tenants.get(organization) {
            tracing::info!(organization, "organization is no longer served");
            let take_out = || self.tenants.remove(organization);
            self.removals.begin(before, take_out);
        }
        self.reports.removed(organization);
        self.metrics.tenants(self.tenants.len());
    }

    /// Takes every organization out of service that is not named.
    pub fn retain(&self, organizations: &BTreeSet<String>) {
        for organization in self.tenants.names() {
            if !organizations.contains(&organization) {
                self.remove(&organization);
            }
        }
    }

    fn compiled(&self, config: TenantConfig) -> Result<Tenant, InstallError> {
        if let Some(organization) = self
            .tenants
            .holder_of(config.tenant_id, &config.organization)
        {
            let tenant = config.tenant_id;
            return Err(InstallError::TenantTaken {
                tenant,
                organization,
            });
        }
        let previous = self.tenants.get(&config.organization);
        Ok(compile(config, previous.as_deref(), &self.environment)?)
    }

    fn counted<T>(&self, result: Result<T, InstallError>) -> Result<T, InstallError> {
        result.inspect_err(|_| self.count_refusal())
    }

    /// Reports why the newest document of an organization is not in service.
    pub(super) fn report_refusal(&self, organization: &str, revision: Option<String>, why: &str) {
        self.reports.refused(organization, revision, why);
    }

    /// Counts a document that was refused before it came here.
    pub(super) fn count_refusal(&self) {
        self.metrics.tenant_compile_failure();
    }
}

#[cfg(test)]
#[path = "installer_tests.rs"]
mod tests;
