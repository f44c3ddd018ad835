//! Who was first, where two resources claim the same thing.

use kube::Resource;

/// Whether `left` was created before `right`; by name where both were created
/// at the same time or, as outside of a cluster, at no known time.
///
/// Resources without a creation time come first, so that the order is total.
pub(crate) fn is_earlier<K: Resource>(left: &K, right: &K) -> bool {
    rank(left) < rank(right)
}

fn rank<K: Resource>(resource: &K) -> (Option<k8s_openapi::jiff::Timestamp>, Option<&str>) {
    let meta = resource.meta();
    (
        meta.creation_timestamp.as_ref().map(|time| time.0),
        meta.name.as_deref(),
    )
}
