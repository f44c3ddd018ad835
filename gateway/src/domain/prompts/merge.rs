//! How the texts of several policies become one.

use agentapi_crds::tenant_config::{Merge, PolicyMode};

use super::{Composition, Part};

/// Between two texts.
const SEPARATOR: &str = "\n\n";

/// A part, and whether later parts are kept from replacing it.
pub(super) struct Contribution {
    pub(super) part: Part,
    pub(super) locked: bool,
}

/// Joins the parts in order. `Replace` takes the place of everything before it
/// that is not locked; parts of policies in shadow mode change nothing.
pub(super) fn join(mut contributions: Vec<Contribution>) -> Composition {
    let mut order: Vec<usize> = Vec::new();
    for index in 0..contributions.len() {
        let part = &contributions[index].part;
        if part.mode == PolicyMode::Shadow {
            continue;
        }
        match part.merge {
            Merge::Append => order.push(index),
            Merge::Prepend => order.insert(0, index),
            Merge::Replace => {
                let replaced_by = part.policy.clone();
                let (kept, replaced): (Vec<_>, Vec<_>) = order
                    .into_iter()
                    .partition(|&earlier| contributions[earlier].locked);
                for earlier in replaced {
                    contributions[earlier].part.replaced_by = Some(replaced_by.clone());
                }
                order = kept;
                order.push(index);
            }
        }
    }
    for &index in &order {
        contributions[index].part.applied = true;
    }
    let texts: Vec<&str> = order
        .iter()
        .map(|&index| contributions[index].part.text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    Composition {
        text: texts.join(SEPARATOR),
        parts: contributions
            .into_iter()
            .map(|contribution| contribution.part)
            .collect(),
    }
}
