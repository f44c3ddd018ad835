//! A stdio server on a real API server, through its bridge: the operator plans the
//! workload, the gateway serves it. There is no node, so the test does what a kubelet
//! and the cluster's DNS would: it starts the planned container's command with its
//! environment on this machine, and tells the gateway's hosts file where.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use agentapi_e2e::client::Client;
use agentapi_e2e::cluster::Cluster;
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::mcp::Mcp;
use agentapi_e2e::organization::Organization;
use agentapi_e2e::program::{Program, built, setting};
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

const NOTES: &str = "{stdio: {image: 'agentapi:dev', command: [agentapi, sample, notes], env: [{name: NOTES_TITLE, value: Bridged}]}}";

#[tokio::test]
async fn a_stdio_server_is_called_through_its_bridge() -> Result<()> {
    let setting = Setting::new().await?;
    let bridge = setting.run_planned().await?;
    let mcp = setting.connect().await?;

    let title = json!({"name": "notes__add_note", "arguments": {"title": "from the cluster"}});
    let added = mcp.result("tools/call", title).await?;
    ensure!(added.contains("from the cluster"), "the note is {added}");
    let listed = mcp
        .result("tools/call", json!({"name": "notes__list_notes"}))
        .await?;
    ensure!(
        listed.contains("from the cluster"),
        "the session has lost its child's state: {listed}"
    );
    let other = setting.connect().await?;
    let listed = other
        .result("tools/call", json!({"name": "notes__list_notes"}))
        .await?;
    ensure!(
        !listed.contains("from the cluster"),
        "two sessions share a child: {listed}"
    );

    drop(bridge);
    setting.organization.clean_up().await
}

#[tokio::test]
async fn a_child_that_is_killed_is_a_typed_error_that_may_be_retried() -> Result<()> {
    let setting = Setting::new().await?;
    let bridge = setting.run_planned().await?;
    let mcp = setting.connect().await?;
    let call = json!({"name": "notes__list_notes"});
    mcp.result("tools/call", call.clone()).await?;

    kill_children(bridge.program.id().context("the bridge has ended")?).await?;
    let failed = mcp.result("tools/call", call.clone()).await;
    let failed = format!("{:#}", failed.err().context("a dead child has answered")?);
    ensure!(
        failed.contains("upstream_session_lost") && failed.contains("\"retryable\": Bool(true)"),
        "the error is {failed}"
    );
    mcp.result("tools/call", call)
        .await
        .context("the next call must begin a new session")?;

    drop(bridge);
    setting.organization.clean_up().await
}

#[tokio::test]
async fn nobody_reaches_a_child_past_the_gateway() -> Result<()> {
    let setting = Setting::new().await?;
    let bridge = setting.run_planned().await?;
    let before = bridge.last_start()?;
    let client = Client::new(setting.endpoint());
    let user = format!("Bearer {}", setting.token()?);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"}).to_string();
    for headers in [vec![], vec![("authorization", user.as_str())]] {
        let answer = client
            .send(Method::POST, "/mcp", &headers, body.clone())
            .await?;
        ensure!(
            answer.status == StatusCode::UNAUTHORIZED,
            "{headers:?} was answered {}",
            answer.status
        );
    }
    ensure!(
        bridge.last_start()? == before,
        "a child was started for a stranger"
    );

    drop(bridge);
    setting.organization.clean_up().await
}

#[tokio::test]
async fn a_server_without_a_node_says_what_it_waits_for() -> Result<()> {
    let setting = Setting::new().await?;
    let server = [
        "mcpserver",
        "notes",
        "-n",
        setting.organization.namespace.as_str(),
    ];
    eventually("the condition names the pod that waits", async || {
        let found = setting.organization.cluster.get(&server).await?;
        let conditions = found["status"]["conditions"].as_array();
        let ready = conditions
            .and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"))
            .context("there is no condition yet")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(
            ready["status"] == "False"
                && message.starts_with("0 of 1 replicas are available: pod notes-")
                && message.contains(" is not scheduled: "),
            "it is {ready}"
        );
        Ok(())
    })
    .await?;
    setting.organization.clean_up().await
}

/// An organization with the stdio server `notes`, planned but not running.
struct Setting {
    organization: Organization,
    issuer: Issuer,
    /// Where the server's pod would be: an address of this machine's own loopback range.
    address: String,
}

/// The planned container's program, running here.
struct Bridge {
    program: Program,
    /// Where it makes its sessions' directories.
    scratch: TempDir,
}

impl Setting {
    async fn new() -> Result<Self> {
        let issuer = Issuer::new("https://issuer.test")?;
        let spec = format!(
            "{{identity: {{issuers: [{{issuer: '{}', jwks: '{}', audiences: [agentapi]}}]}}, rateLimits: {{requestsPerMinute: 60000, burst: 1000}}}}",
            issuer.url,
            issuer.key_set()
        );
        let organization = Organization::ready(&spec).await?;
        organization
            .apply_inside("McpServer", "notes", NOTES)
            .await?;
        organization.wait_for_servers(&["notes"]).await?;
        Ok(Self {
            address: loopback_address(),
            organization,
            issuer,
        })
    }

    /// Where the bridge listens, past the gateway.
    fn endpoint(&self) -> String {
        format!("http://{}:8080", self.address)
    }

    fn token(&self) -> Result<String> {
        self.issuer
            .token(&self.organization.name, "alice", &["user"])
    }

    /// Connects to the federated endpoint, once it offers the server's tools.
    async fn connect(&self) -> Result<Mcp> {
        let url = format!("{}/mcp", self.organization.cluster.gateway);
        let token = self.token()?;
        eventually("the gateway offers the tools of notes", async || {
            let mcp = Mcp::connect(&url, Some(&token)).await?;
            let tools = mcp.result("tools/list", json!({})).await?;
            ensure!(tools.contains("notes__add_note"), "it offers {tools}");
            Ok(mcp)
        })
        .await
    }

    async fn run_planned(&self) -> Result<Bridge> {
        let deployment = eventually("the operator plans a workload", async || {
            self.organization.object("deployment", "notes").await
        })
        .await?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let bridge = self.start(container)?;
        eventually("the bridge answers", async || {
            let endpoint = Client::new(self.endpoint());
            endpoint.send(Method::GET, "/mcp", &[], "").await
        })
        .await?;
        self.name_address()?;
        Ok(bridge)
    }

    /// What a kubelet does with a container, where its image is this build.
    fn start(&self, container: &Value) -> Result<Bridge> {
        let scratch = tempfile::tempdir()?;
        let directory = scratch.path().to_str().context("no UTF-8 path")?;
        let command = texts(&container["command"])?;
        let (program, verb) = command.split_first().context("no command is planned")?;
        ensure!(
            program.ends_with("/agentapi-gateway"),
            "the planned program is {program}"
        );
        let listen = format!("{}:8080", self.address);
        let child = built("agentapi")?;
        let child = child.to_str().context("no UTF-8 path")?;
        let arguments = texts(&container["args"])?;
        let arguments = arguments.iter().map(|argument| match argument.as_str() {
            "agentapi" => child,
            other => other,
        });
        // Before the `--` that ends the bridge's own arguments.
        let own = verb.iter().take(1).map(String::as_str);
        let line: Vec<_> = own
            .chain(["--listen", &listen, "--"])
            .chain(arguments)
            .collect();
        let declared = variables(&container["env"])?;
        let environment = declared
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: Vec<_> = environment.chain([("TMPDIR", directory)]).collect();
        Ok(Bridge {
            program: Program::spawn(&built("agentapi-gateway")?, &line, &environment)?,
            scratch,
        })
    }

    /// What the cluster's DNS does for a Service.
    fn name_address(&self) -> Result<()> {
        let path = PathBuf::from(setting("AGENTAPI_TEST_HOSTS_FILE")?);
        let mut hosts = OpenOptions::new().append(true).open(&path)?;
        let line = format!(
            "{} notes.{}.svc\n",
            self.address, self.organization.namespace
        );
        hosts.write_all(line.as_bytes())?;
        Ok(())
    }
}

impl Bridge {
    /// When the last session's directory was made or removed: each child has one.
    fn last_start(&self) -> Result<SystemTime> {
        Ok(std::fs::metadata(self.scratch.path())?.modified()?)
    }
}

/// One of 16 million, so that no two tests want the same port of the same one.
fn loopback_address() -> String {
    let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
    format!("127.{}.{b}.{}", a.max(1), c.clamp(1, 254))
}

fn texts(list: &Value) -> Result<Vec<String>> {
    Ok(serde_json::from_value(list.clone())?)
}

fn variables(env: &Value) -> Result<Vec<(String, String)>> {
    let all = env.as_array().context("no environment is planned")?;
    let pair = |variable: &Value| {
        let text = |field: &str| variable[field].as_str().map(str::to_owned);
        text("name").zip(text("value"))
    };
    all.iter()
        .map(|variable| pair(variable).with_context(|| format!("{variable} has no value")))
        .collect()
}

/// Kills every process that `parent` has started.
async fn kill_children(parent: u32) -> Result<()> {
    let parent = parent.to_string();
    let killed = tokio::process::Command::new("sh")
        .args(["-c", KILL, "sh", &parent])
        .status()
        .await?;
    ensure!(killed.success(), "process {parent} has no child to kill");
    Ok(())
}

/// The fourth field of /proc/PID/stat is the parent (proc(5)); names here hold no space.
const KILL: &str = r#"found=1
for stat in /proc/[0-9]*/stat; do
    read -r pid name state parent rest < "$stat" 2>/dev/null || continue
    if [ "$parent" = "$1" ]; then kill -KILL "$pid" && found=0; fi
done
exit $found"#;

#[tokio::test]
async fn the_charts_job_makes_one_key_and_keeps_it() -> Result<()> {
    let job = KeyJob::new().await?;
    job.run().await?;
    let (secret, published) = (job.secret().await?, job.published().await?);
    ensure!(
        published.contains("\"crv\":\"Ed25519\"") && !published.contains("\"d\""),
        "the operator is given {published}"
    );
    job.cluster
        .kubectl(&["delete", "configmap", KEY_SET, "-n", PLATFORM], "")
        .await?;
    job.run().await?;
    ensure!(job.secret().await? == secret, "the key is another one");
    ensure!(
        job.published().await? == published,
        "the key set is another one"
    );
    Ok(())
}

const PLATFORM: &str = "agentapi-system";
const KEY_SET: &str = "agentapi-bridge-keys";

/// What the chart's Job runs, with the rights that the chart gives it.
struct KeyJob {
    cluster: Cluster,
    kubeconfig: NamedTempFile,
}

impl KeyJob {
    async fn new() -> Result<Self> {
        let cluster = Cluster::connect()?;
        let arguments = ["create", "token", "agentapi-bridge-key", "-n", PLATFORM];
        let token = cluster.kubectl(&arguments, "").await?;
        let administrators = std::fs::read_to_string(setting("AGENTAPI_TEST_KUBECONFIG")?)?;
        let mut config: serde_json::Value = serde_yaml::from_str(&administrators)?;
        config["users"][0]["user"] = json!({ "token": token.trim() });
        let kubeconfig = NamedTempFile::new()?;
        std::fs::write(kubeconfig.path(), config.to_string())?;
        Ok(Self {
            cluster,
            kubeconfig,
        })
    }

    async fn run(&self) -> Result<()> {
        let output = tokio::process::Command::new(built("agentapi-gateway")?)
            .args(["bridge", "--keep-key"])
            .env("KUBECONFIG", self.kubeconfig.path())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the Job failed: {said}");
        Ok(())
    }

    async fn secret(&self) -> Result<Value> {
        let object = ["secret", "agentapi-bridge-key", "-n", PLATFORM];
        Ok(self.cluster.get(&object).await?["data"].take())
    }

    async fn published(&self) -> Result<String> {
        let found = self
            .cluster
            .get(&["configmap", KEY_SET, "-n", PLATFORM])
            .await?;
        let key_set = found["data"]["jwks"].as_str();
        Ok(key_set.context("no key set is published")?.to_owned())
    }
}
