//! The desired state of everything at once, for programs without a cluster:
//! `agentapi dev` serves the documents, `agentapi render` prints the objects.

use std::collections::{BTreeMap, BTreeSet};

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::{PromptLevel, TenantConfig};
use agentapi_crds::{McpServer, PromptPolicy};

use crate::inputs::Inputs;
use crate::mcp_server;
use crate::object::Object;
use crate::organization::{View, assess, namespace_of};
use crate::problem::Problem;
use crate::prompt_policy;
use crate::settings::Settings;

/// What the operator would apply, and what keeps resources from being served.
#[derive(Debug, Default)]
pub struct Desired {
    /// The document of each organization that has one, by name.
    pub documents: BTreeMap<String, TenantConfig>,
    /// All objects, in the order in which they are applied.
    pub objects: Vec<Object>,
    /// What keeps resources from being served as written.
    pub findings: Vec<Finding>,
}

/// A problem of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `Organization`, `McpServer` or `PromptPolicy`.
    pub kind: &'static str,
    /// Namespace; none for an `Organization`.
    pub namespace: Option<String>,
    /// Name of the resource.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Computes the desired state of everything.
pub fn desired(inputs: &Inputs, settings: &Settings) -> Desired {
    let mut desired = Desired::default();
    let all: Vec<_> = inputs.organizations.iter().collect();
    for organization in &inputs.organizations {
        let namespace = namespace_of(organization);
        let name = organization.metadata.name.clone().unwrap_or_default();
        let servers: Vec<_> = inputs
            .servers
            .iter()
            .filter(|server| in_namespace(*server, &namespace))
            .collect();
        let prompts: Vec<_> = inputs
            .prompts
            .iter()
            .filter(|policy| {
                in_namespace(*policy, &namespace)
                    || in_namespace(*policy, &settings.platform_namespace)
            })
            .collect();
        let assessment = assess(&View {
            organization,
            all: &all,
            servers: &servers,
            prompts: &prompts,
            secrets: &inputs.secrets,
            unreachable: &BTreeSet::new(),
            live: inputs.live.get(&name),
            settings,
        });
        desired.objects.extend(assessment.objects);
        match &assessment.organization {
            Ok(valid) => {
                let workloads = assessment
                    .servers
                    .values()
                    .filter_map(|server| server.valid());
                desired.objects.extend(
                    workloads.flat_map(|server| {
                        mcp_server::plan(&valid.owner(), &valid.namespace, server)
                    }),
                );
                let unsupported = valid.unsupported.iter().map(|field| {
                    Problem::not_supported(*field, "is not supported yet and has no effect")
                });
                desired.report("Organization", None, &name, unsupported);
            }
            Err(problems) => desired.report("Organization", None, &name, problems.iter().cloned()),
        }
        desired.report(
            "Organization",
            None,
            &name,
            assessment.event_sinks.problems.iter().cloned(),
        );
        match assessment.document {
            Ok(Some(document)) => {
                desired.documents.insert(name.clone(), document);
            }
            Ok(None) => {}
            Err(error) => {
                let problem = Problem::new(
                    reasons::CONFIG_TOO_LARGE,
                    "metadata.name",
                    error.to_string(),
                );
                desired.report("Organization", None, &name, [problem]);
            }
        }
        for (server, member) in &assessment.servers {
            desired.report(
                "McpServer",
                Some(&namespace),
                server,
                member.problems().iter().cloned(),
            );
        }
        let own = assessment
            .prompts
            .iter()
            .filter(|((level, _), _)| *level == PromptLevel::Organization);
        for ((_, policy), member) in own {
            desired.report(
                "PromptPolicy",
                Some(&namespace),
                policy,
                member.problems().iter().cloned(),
            );
        }
    }
    desired.report_global_prompts(inputs, settings);
    desired.report_strays(inputs, settings);
    desired
}

impl Desired {
    fn report(
        &mut self,
        kind: &'static str,
        namespace: Option<&str>,
        name: &str,
        problems: impl IntoIterator<Item = Problem>,
    ) {
        let findings = problems.into_iter().map(|problem| Finding {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            problem,
        });
        self.findings.extend(findings);
    }

    /// Global policies belong to all organizations: their problems are told once.
    fn report_global_prompts(&mut self, inputs: &Inputs, settings: &Settings) {
        let namespace = &settings.platform_namespace;
        for policy in inputs
            .prompts
            .iter()
            .filter(|policy| in_namespace(*policy, namespace))
        {
            let member = prompt_policy::validate(policy, PromptLevel::Global);
            let name = policy.metadata.name.clone().unwrap_or_default();
            self.report(
                "PromptPolicy",
                Some(namespace),
                &name,
                member.problems().iter().cloned(),
            );
        }
    }

    /// Resources in namespaces of no organization do nothing, and are told so.
    fn report_strays(&mut self, inputs: &Inputs, settings: &Settings) {
        let namespaces: Vec<_> = inputs.organizations.iter().map(namespace_of).collect();
        let servers = inputs
            .servers
            .iter()
            .map(|server: &McpServer| ("McpServer", &server.metadata));
        let prompts = inputs
            .prompts
            .iter()
            .map(|policy: &PromptPolicy| ("PromptPolicy", &policy.metadata));
        for (kind, metadata) in servers.chain(prompts) {
            let namespace = metadata.namespace.clone().unwrap_or_default();
            let is_global = kind == "PromptPolicy" && namespace == settings.platform_namespace;
            if !namespaces.contains(&namespace) && !is_global {
                let name = metadata.name.clone().unwrap_or_default();
                self.report(kind, Some(&namespace), &name, [no_organization(&namespace)]);
            }
        }
    }
}

/// What a resource in a namespace of no organization is told.
pub(crate) fn no_organization(namespace: &str) -> Problem {
    Problem::new(
        reasons::NO_ORGANIZATION,
        "metadata.namespace",
        format!(
            "{namespace} is the namespace of no Organization: create the resource in an organization's namespace (kubectl get organizations)"
        ),
    )
}

fn in_namespace<K: kube::Resource>(resource: &K, namespace: &str) -> bool {
    resource.meta().namespace.as_deref() == Some(namespace)
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
