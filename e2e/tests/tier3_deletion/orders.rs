//! `deletionPolicy`, `preventDeletion` and `suspended`: each does what it says
//! whatever came before it.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::{Organization, expect_said};
use anyhow::{Result, ensure};

const BOX: &str = "{container: {image: 'registry.example.com/box:1', port: 8000}, replicas: 2}";

/// One setting of the three fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    delete: bool,
    prevent: bool,
    suspended: bool,
}

impl Setting {
    /// All eight.
    fn all() -> Vec<Self> {
        (0..8)
            .map(|bits| Self {
                delete: bits & 1 != 0,
                prevent: bits & 2 != 0,
                suspended: bits & 4 != 0,
            })
            .collect()
    }

    fn spec(self) -> String {
        let policy = if self.delete { "Delete" } else { "Retain" };
        format!(
            "{{deletionPolicy: {policy}, preventDeletion: {}, suspended: {}}}",
            self.prevent, self.suspended
        )
    }
}

/// A walk in which every setting directly follows every other one once, so that
/// each change of any of the fields happens from wherever it can happen.
fn walk() -> Vec<Setting> {
    let all = Setting::all();
    let mut left: Vec<Vec<usize>> = (0..all.len())
        .map(|from| (0..all.len()).filter(|to| *to != from).collect())
        .collect();
    // Hierholzer's algorithm: every setting is left as often as it is entered.
    let (mut path, mut circuit) = (vec![0], Vec::new());
    while let Some(&at) = path.last() {
        match left.get_mut(at).and_then(Vec::pop) {
            Some(next) => path.push(next),
            None => circuit.extend(path.pop()),
        }
    }
    circuit
        .into_iter()
        .filter_map(|index| all.get(index).copied())
        .collect()
}

#[test]
fn the_walk_takes_every_change_once() {
    let walk = walk();
    let all = Setting::all();
    let changes: Vec<_> = walk.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let wanted = all
        .iter()
        .flat_map(|from| all.iter().map(move |to| (*from, *to)));
    let missing: Vec<_> = wanted
        .filter(|(from, to)| from != to)
        .filter(|change| changes.iter().filter(|taken| *taken == change).count() != 1)
        .collect();
    assert!(missing.is_empty(), "not taken exactly once: {missing:?}");
}

#[tokio::test]
async fn each_setting_does_what_it_says_whatever_came_before() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.apply_inside("McpServer", "box", BOX).await?;
    organization.wait_for_servers(&["box"]).await?;
    let uid = |object: serde_json::Value| object["metadata"]["uid"].clone();
    let before = uid(organization.object("deployment", "box").await?);
    for (step, setting) in walk().into_iter().enumerate() {
        organization.apply(&setting.spec()).await?;
        expect_effects(&organization, setting)
            .await
            .map_err(|error| error.context(format!("step {step}, {setting:?}")))?;
    }
    let after = uid(organization.object("deployment", "box").await?);
    ensure!(before == after, "the workload was deleted on the way");
    organization
        .apply("{deletionPolicy: Delete, preventDeletion: false}")
        .await?;
    organization.clean_up().await
}

async fn expect_effects(organization: &Organization, setting: Setting) -> Result<()> {
    let (ready, replicas) = if setting.suspended {
        ("Suspended", 0)
    } else {
        ("Reconciled", 2)
    };
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Ready", ready)
        .await?;
    eventually("document and workload follow", async || {
        let document = organization.document().await?;
        ensure!(
            document.suspended == setting.suspended,
            "the document says suspended: {}",
            document.suspended
        );
        ensure!(document.servers.len() == 1, "the document lost its server");
        let deployment = organization.object("deployment", "box").await?;
        ensure!(
            deployment["spec"]["replicas"] == replicas,
            "{} replicas are wanted",
            deployment["spec"]["replicas"]
        );
        Ok(())
    })
    .await?;
    let attempt = [
        "delete",
        "organization",
        &organization.name,
        "--dry-run=server",
    ];
    if setting.prevent {
        let said = organization.refused(&attempt, "").await?;
        expect_said(&said, "spec.preventDeletion is true")
    } else {
        organization.cluster.kubectl(&attempt, "").await.map(drop)
    }
}

#[tokio::test]
async fn the_last_policy_decides_though_the_organization_is_suspended() -> Result<()> {
    for delete in [false, true] {
        let organization = Organization::ready("{}").await?;
        for delete in [!delete, delete] {
            let setting = Setting {
                delete,
                prevent: false,
                suspended: true,
            };
            organization.apply(&setting.spec()).await?;
        }
        organization.delete().await?;
        organization.wait_until_gone().await?;
        let is_left = organization
            .exists("namespace", &organization.namespace, None)
            .await?;
        ensure!(
            is_left != delete,
            "deletionPolicy Delete was {delete}, and the namespace is left: {is_left}"
        );
        if is_left {
            organization
                .break_glass(&[
                    "delete",
                    "namespace",
                    &organization.namespace,
                    "--wait=false",
                ])
                .await?;
        }
    }
    Ok(())
}
