//! Where documents about a server may be, in the order in which they are asked for.

use url::Url;

const OAUTH: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";
const RESOURCE: &str = "oauth-protected-resource";

/// Where the metadata of an issuer may be: RFC 8414, section 3.1, and OpenID
/// Connect Discovery 1.0, section 4; nothing if the issuer is no URL.
pub fn authorization_server_documents(issuer: &str) -> Vec<Url> {
    let Ok(url) = Url::parse(issuer) else {
        return vec![];
    };
    let path = url.path().trim_end_matches('/').to_owned();
    let mut found = vec![
        at(&url, &format!("{path}/.well-known/{OPENID}")),
        at(&url, &format!("/.well-known/{OAUTH}{path}")),
    ];
    if !path.is_empty() {
        found.push(at(&url, &format!("/.well-known/{OPENID}{path}")));
    }
    found
}

/// Where the metadata of a resource may be (RFC 9728, section 3.1; MCP
/// authorization), each with the resource that it must be of.
pub fn protected_resource_documents(resource: &str) -> Vec<(Url, String)> {
    let Ok(url) = Url::parse(resource) else {
        return vec![];
    };
    let path = url.path().trim_end_matches('/').to_owned();
    let root = url.origin().ascii_serialization();
    let mut found = Vec::new();
    if !path.is_empty() {
        let document = at(&url, &format!("/.well-known/{RESOURCE}{path}"));
        found.push((document, format!("{root}{path}")));
    }
    found.push((at(&url, &format!("/.well-known/{RESOURCE}")), root));
    found
}

fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(issuer: &str) -> Vec<String> {
        let found = authorization_server_documents(issuer);
        found.iter().map(Url::to_string).collect()
    }

    #[test]
    fn an_issuer_without_a_path_has_its_documents_at_the_root() {
        for issuer in ["https://id.example.com", "https://id.example.com/"] {
            assert_eq!(
                texts(issuer),
                [
                    "https://id.example.com/.well-known/openid-configuration",
                    "https://id.example.com/.well-known/oauth-authorization-server",
                ]
            );
        }
    }

    #[test]
    fn an_issuer_with_a_path_has_them_before_and_behind_it() {
        assert_eq!(
            texts("https://id.example.com/acme"),
            [
                "https://id.example.com/acme/.well-known/openid-configuration",
                "https://id.example.com/.well-known/oauth-authorization-server/acme",
                "https://id.example.com/.well-known/openid-configuration/acme",
            ]
        );
    }

    #[test]
    fn a_resource_is_asked_by_its_path_and_then_at_the_root() {
        let found = protected_resource_documents("https://tools.example.com/mcp?x=1");
        let found: Vec<_> = found
            .iter()
            .map(|(url, of)| (url.as_str(), of.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "https://tools.example.com/.well-known/oauth-protected-resource/mcp",
                    "https://tools.example.com/mcp"
                ),
                (
                    "https://tools.example.com/.well-known/oauth-protected-resource",
                    "https://tools.example.com"
                ),
            ]
        );
    }
}
