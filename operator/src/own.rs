//! The three kinds, as the writer and the controllers see them.

use agentapi_crds::{
    McpServer, McpServerStatus, Organization, OrganizationStatus, PromptPolicy, PromptPolicyStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client, ResourceExt};

use crate::apply::Own;

impl Own for Organization {
    type Status = OrganizationStatus;

    fn api(&self, client: Client) -> Api<Self> {
        Api::all(client)
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }
}

impl Own for McpServer {
    type Status = McpServerStatus;

    fn api(&self, client: Client) -> Api<Self> {
        Api::namespaced(client, &self.namespace().unwrap_or_default())
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }
}

impl Own for PromptPolicy {
    type Status = PromptPolicyStatus;

    fn api(&self, client: Client) -> Api<Self> {
        Api::namespaced(client, &self.namespace().unwrap_or_default())
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }
}
