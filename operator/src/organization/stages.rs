//! The order in which an organization's objects are applied.

use std::collections::BTreeMap;

use super::plan::DEFAULT_DENY;
use crate::object::{Kind, Object};

/// Objects that may be applied at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The namespace, without which nothing else can be.
    Namespace,
    /// The policy that denies what no other allows.
    Closing,
    /// What bounds the namespace, and what is allowed in it.
    Bounds,
    /// What may be done in it: a binding is refused while its Role is not there.
    Roles,
    /// Who may do it.
    Access,
    /// A namespace that is taken over changes hands when everything in it has:
    /// before, whoever goes on after an interruption still sees what it was.
    TakenOver,
    /// What the gateway serves, after it may read what that names.
    Document,
}

/// Objects by stage.
pub(super) fn stages(objects: &[Object], is_takeover: bool) -> BTreeMap<Stage, Vec<&Object>> {
    let mut stages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in objects {
        let stage = match object.kind {
            Kind::Namespace if is_takeover => Stage::TakenOver,
            Kind::Namespace => Stage::Namespace,
            Kind::NetworkPolicy if object.name == DEFAULT_DENY => Stage::Closing,
            Kind::NetworkPolicy | Kind::ResourceQuota | Kind::LimitRange | Kind::ServiceAccount => {
                Stage::Bounds
            }
            Kind::Role => Stage::Roles,
            Kind::RoleBinding | Kind::Service | Kind::Deployment => Stage::Access,
            Kind::ConfigMap => Stage::Document,
        };
        stages.entry(stage).or_default().push(object);
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::stages;
    use crate::fixtures::{settings, valid};
    use crate::object::Kind;
    use crate::organization::plan;

    fn order(is_takeover: bool) -> Vec<Vec<Kind>> {
        let objects = plan(&valid("admins: [{kind: User, name: a}]"), None, &settings());
        let stages = stages(&objects, is_takeover);
        let kinds = |stage: Vec<&crate::object::Object>| {
            let mut kinds: Vec<_> = stage.into_iter().map(|object| object.kind).collect();
            kinds.dedup();
            kinds
        };
        stages.into_values().map(kinds).collect()
    }

    #[test]
    fn what_closes_the_namespace_comes_before_what_lets_anybody_in() {
        let order = order(false);
        assert_eq!(order[0], [Kind::Namespace]);
        assert_eq!(order[1], [Kind::NetworkPolicy]);
        assert_eq!(order.last(), Some(&vec![Kind::RoleBinding]));
    }

    #[test]
    fn a_namespace_that_is_taken_over_changes_hands_last() {
        assert_eq!(order(true).last(), Some(&vec![Kind::Namespace]));
    }
}
