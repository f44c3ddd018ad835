//! Image references against an organization's allowed registries.

/// Registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Namespace of Docker Hub's references that name none.
const DEFAULT_NAMESPACE: &str = "library";

/// Whether an image comes from one of the prefixes; an empty list allows all.
///
/// Both sides are compared in their full form (`nginx` is
/// `docker.io/library/nginx`), and a prefix ends at a boundary: `example.com/a`
/// allows `example.com/a/b` and `example.com/a:1`, not `example.com/ab`.
pub(crate) fn is_allowed(image: &str, prefixes: &[String]) -> bool {
    let image = full_reference(image);
    prefixes.is_empty() || prefixes.iter().any(|prefix| has_prefix(&image, prefix))
}

fn has_prefix(image: &str, prefix: &str) -> bool {
    image.strip_prefix(prefix).is_some_and(|rest| {
        prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', ':', '@'])
    })
}

fn full_reference(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if is_registry(first) => image.to_owned(),
        Some(_) => format!("{DEFAULT_REGISTRY}/{image}"),
        None => format!("{DEFAULT_REGISTRY}/{DEFAULT_NAMESPACE}/{image}"),
    }
}

/// Whether the first component of a reference is a host, as container runtimes decide it.
fn is_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    fn allowed(image: &str, prefix: &str) -> bool {
        is_allowed(image, &[prefix.to_owned()])
    }

    #[test]
    fn an_empty_list_allows_every_image() {
        assert!(is_allowed("anything/at-all:1", &[]));
    }

    #[test]
    fn a_prefix_ends_at_a_boundary() {
        assert!(allowed(
            "registry.example.com/team/a:1",
            "registry.example.com/team"
        ));
        assert!(allowed(
            "registry.example.com/team:1",
            "registry.example.com/team"
        ));
        assert!(!allowed(
            "registry.example.com/teammate/a",
            "registry.example.com/team"
        ));
    }

    #[test]
    fn a_host_that_only_starts_like_the_registry_is_refused() {
        assert!(!allowed(
            "registry.example.com.evil.test/a",
            "registry.example.com"
        ));
    }

    #[test]
    fn short_names_are_compared_in_their_full_form() {
        assert!(allowed("nginx:1", "docker.io/library/"));
        assert!(allowed("grafana/grafana", "docker.io/grafana/"));
        assert!(!allowed("nginx:1", "registry.example.com/"));
    }
}
