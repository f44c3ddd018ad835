//! Models that an organization's agents may call, and how they are chosen.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::secret_ref::SecretKeyRef;

/// Tokens of a request above which the long-context route is taken unless said otherwise.
const DEFAULT_LONG_CONTEXT_THRESHOLD: u32 = 60_000;

fn default_threshold() -> u32 {
    DEFAULT_LONG_CONTEXT_THRESHOLD
}

/// Models that agents may call, and how they are chosen.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::declared_models("default", "routes.default"))]
#[x_kube(validation = rules::declared_models("background", "routes.background"))]
#[x_kube(validation = rules::declared_models("think", "routes.think"))]
#[x_kube(validation = rules::declared_models("webSearch", "routes.webSearch"))]
#[x_kube(validation = rules::declared_models("image", "routes.image"))]
#[x_kube(validation = rules::declared_models("longContext", "routes.longContext.models"))]
#[x_kube(validation = rules::priced_models("organization"))]
#[x_kube(validation = rules::priced_models("user"))]
#[x_kube(validation = rules::priced_models("session"))]
#[serde(rename_all = "camelCase")]
pub struct Models {
    /// Where models are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub providers: Vec<Provider>,
    /// Which model serves which kind of request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Routes>,
    /// Whether a request may name provider/model itself.
    #[serde(default)]
    pub allow_explicit: bool,
    /// Bounds on tokens and cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Budgets>,
}

/// A service that models are called at.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"self.type != 'OpenAiCompatible' || has(self.baseUrl)"#)
    .message("an OpenAiCompatible provider needs a baseUrl").field_path(".baseUrl").reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new(r#"self.type.startsWith('Vertex') == has(self.project) && self.type.startsWith('Vertex') == has(self.region)"#)
    .message("project and region are both needed for the Vertex types, and only there").field_path(".project"))]
#[x_kube(validation = Rule::new(r#"!has(self.credentials) || !self.credentials.workloadIdentity || self.type.startsWith('Vertex')"#)
    .message("workloadIdentity is for the Vertex types only").field_path(".credentials"))]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Name of the provider, unique in the organization; the part before the slash in provider/model.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Protocol of the service.
    #[serde(rename = "type")]
    pub provider_type: ProviderType,
    /// Absolute http or https URL of the service. Needed for OpenAiCompatible; the vendor's own for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub base_url: Option<String>,
    /// How the gateway authenticates to the service. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ProviderCredentials>,
    /// Google Cloud project, for the Vertex types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9.:-]+$"))]
    pub project: Option<String>,
    /// Google Cloud region, for the Vertex types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: Option<String>,
    /// Models offered; at least one.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub models: Vec<Model>,
}

/// Protocol of a model service.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderType {
    /// Anthropic Messages.
    Anthropic,
    /// Anthropic models on Vertex AI.
    VertexAnthropic,
    /// Gemini models on Vertex AI.
    VertexGemini,
    /// OpenAI Chat Completions.
    OpenAiCompatible,
}

/// How the gateway authenticates to a provider: one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"has(self.secretRef) != self.workloadIdentity"#)
    .message("exactly one of secretRef and workloadIdentity: true is required"))]
#[serde(rename_all = "camelCase")]
pub struct ProviderCredentials {
    /// API key, or Google service-account key for the Vertex types, in the namespace agentapi-credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Whether the gateway's own cloud identity is used. Vertex types only.
    #[serde(default)]
    pub workload_identity: bool,
}

/// One model of a provider.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Name that the provider knows the model by; the part after the slash in provider/model.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$")
    )]
    pub name: String,
    /// What the model costs; needed where a budget states a cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<ModelPrices>,
}

/// What a model costs, as decimal numbers in the organization's currency.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrices {
    /// Price of a million input tokens, for example "3.00".
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]{1,6})?$"))]
    pub input_per_million: String,
    /// Price of a million output tokens, for example "15.00".
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]{1,6})?$"))]
    pub output_per_million: String,
}

/// Which model serves which kind of request: each an ordered list of provider/model, first healthy one taken.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    /// Requests that match no other route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub default: Vec<String>,
    /// Small helper requests of an agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub background: Vec<String>,
    /// Requests that ask for extended thinking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub think: Vec<String>,
    /// Requests longer than a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContextRoute>,
    /// Requests with a web search tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub web_search: Vec<String>,
    /// Requests with images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub image: Vec<String>,
}

/// Which models serve long requests, and what long means.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LongContextRoute {
    /// Estimated input tokens above which the route is taken.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 1000, max = 10000000))]
    pub threshold: u32,
    /// Ordered list of provider/model, first healthy one taken.
    #[schemars(
        length(min = 1, max = 8),
        inner(length(min = 3, max = 192), regex(pattern = r"^[a-z0-9-]+/.+$"))
    )]
    pub models: Vec<String>,
}

/// Bounds on tokens and cost. What is exceeded refuses further calls until the period ends.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Budgets {
    /// Of the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Budget>,
    /// Of each user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Budget>,
    /// Of each session; its period is the session's life unless the period is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Budget>,
}

/// Tokens and cost that may be used in a period.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"has(self.tokens) || has(self.cost)"#)
    .message("at least one of tokens and cost is required"))]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Calendar period (UTC) after which the budget is full again.
    #[serde(default)]
    pub period: BudgetPeriod,
    /// Input and output tokens together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000000000u64))]
    pub tokens: Option<u64>,
    /// Cost by the models' prices, as a decimal number, for example "250.00".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+(\.[0-9]{1,6})?$"))]
    pub cost: Option<String>,
}

/// Calendar period of a budget, in UTC.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    #[default]
    Month,
}
