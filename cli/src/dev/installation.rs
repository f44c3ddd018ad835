//! From manifests to organizations in service.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agentapi_crds::tenant_config::{ServerTarget, TenantConfig};
use agentapi_gateway::tenants::Installer;
use agentapi_operator::{Placement, Settings, desired};

use super::secrets::ManifestSecrets;
use crate::failure::Failure;
use crate::manifests::Manifests;
use crate::report;

/// The word in a server's command that means this program.
const THIS_PROGRAM: &str = "agentapi";

/// What is installed, and how the next state follows from it.
pub(super) struct Installation {
    installer: Installer,
    secrets: ManifestSecrets,
    settings: Settings,
    live: BTreeMap<String, TenantConfig>,
    program: PathBuf,
}

impl Installation {
    pub(super) fn new(installer: Installer, secrets: ManifestSecrets) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new("the path of this program is unknown", super::HELP).because(error)
        })?;
        Ok(Self {
            installer,
            secrets,
            settings: Settings::new(Placement::Embedded),
            live: BTreeMap::new(),
            program,
        })
    }

    /// Makes what the manifests say the state that is served. What cannot be
    /// served is told on standard error and keeps the state it had.
    pub(super) fn apply(&mut self, mut manifests: Manifests) {
        let metadata = self.secrets.replace(std::mem::take(&mut manifests.secrets));
        manifests.inputs.secrets = metadata;
        manifests.inputs.live = self.live.clone();
        let desired = desired(&manifests.inputs, &self.settings);
        report::findings(&manifests, &desired.findings);

        self.installer
            .retain(&desired.documents.keys().cloned().collect());
        let changed = desired
            .documents
            .iter()
            .filter(|(name, document)| self.live.get(*name) != Some(document));
        for (organization, document) in changed {
            if let Err(reason) = self.install(document.clone()) {
                eprintln!("warning: organization {organization} keeps what it had: {reason}");
            }
        }
        self.live = desired.documents;
    }

    fn install(&self, document: TenantConfig) -> Result<(), String> {
        let document = self.with_this_program(document).sealed();
        let document = document.map_err(|error| error.to_string())?;
        self.installer
            .install(document)
            .map_err(|error| agentapi_gateway::telemetry::chain(&error))
    }

    /// The document with this program's path where a command says `agentapi`.
    fn with_this_program(&self, mut document: TenantConfig) -> TenantConfig {
        for server in &mut document.servers {
            if let ServerTarget::Process { command, .. } = &mut server.target
                && let Some(word) = command.first_mut()
                && word == THIS_PROGRAM
            {
                *word = self.program.to_string_lossy().into_owned();
            }
        }
        document
    }
}
