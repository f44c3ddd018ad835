//! CEL rules that several fields share.
//!
//! Both the API server and kube-cel evaluate them, so they use only functions
//! on which the two agree. `url(…).getScheme()` is not one: kube-cel takes
//! `http://localhost` for a path.

use kube::core::{Reason, Rule};

/// Scheme, host without user information, and optional port of an absolute
/// URL. The host is an IPv6 or IPv4 address or a name; as by the URL standard,
/// a name whose last label starts with a digit is a failed address, not a name.
const AUTHORITY: &str = concat!(
    r"^https?://(\\[[0-9A-Fa-f:.]+\\]",
    r"|((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",
    r"|([A-Za-z0-9_-]+[.])*[A-Za-z_-][A-Za-z0-9_-]*[.]?)",
    r"(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?",
);
/// Characters of what follows the authority, with a leading slash: no space,
/// control character or fragment, and percent signs only before two digits.
const PATH: &str = r"(/([^?#%\\s\\x00-\\x1f\\x7f]|%[0-9A-Fa-f]{2})*)?";
/// A query, likewise.
const QUERY: &str = r"([?]([^#%\\s\\x00-\\x1f\\x7f]|%[0-9A-Fa-f]{2})*)?";

/// An absolute http or https URL without user information and fragment.
pub(crate) fn absolute_url() -> Rule {
    Rule::new(format!(
        "isURL(self) && self.matches('{AUTHORITY}{PATH}{QUERY}$')"
    ))
    .message("must be an absolute http or https URL without user information and fragment")
}

/// An issuer identifier: an absolute URL without query and fragment (RFC 8414 section 2).
pub(crate) fn issuer_url() -> Rule {
    Rule::new(format!("isURL(self) && self.matches('{AUTHORITY}{PATH}$')")).message(
        "must be an absolute http or https URL without user information, query and fragment",
    )
}

/// A duration between two others, ends included.
pub(crate) fn duration_between(least: &str, most: &str) -> Rule {
    Rule::new(format!(
        "duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    ))
    .message(format!("must be from {least} to {most}").as_str())
}

/// A field of `self` that may be neither set, unset nor changed after creation.
/// `cel_name` is the field's name as CEL writes it (reserved words are escaped).
pub(crate) fn immutable(name: &str, cel_name: &str, why: &str) -> Rule {
    Rule::new(format!(
        "has(self.{cel_name}) == has(oldSelf.{cel_name}) && \
         (!has(self.{cel_name}) || self.{cel_name} == oldSelf.{cel_name})"
    ))
    .message(format!("{name} is immutable, set and unset included: {why}").as_str())
    .field_path(format!(".{name}"))
    .reason(Reason::FieldValueForbidden)
}

/// Dotted path into a token's claims.
pub(crate) fn claim_path() -> Rule {
    Rule::new(r"self.matches('^[^.\\s]+([.][^.\\s]+)*$')")
        .message("must be a claim, or claims joined by dots, without spaces")
}

/// Every entry of a route is a `provider/model` that `providers` declares.
/// One rule a route: the cost of all six together exceeds the budget of one.
pub(crate) fn declared_models(route: &str, list: &str) -> Rule {
    Rule::new(format!(
        "!has(self.routes) || !has(self.routes.{route}) || (has(self.providers) && \
         self.{list}.all(r, self.providers.exists(p, p.models.exists(m, r == p.name + '/' + m.name))))"
    ))
    .message(format!("route {route} must name a provider/model that providers declares").as_str())
    .field_path(format!(".routes.{route}"))
}

/// A budget that states a cost can be held only where every model has prices.
pub(crate) fn priced_models(scope: &str) -> Rule {
    Rule::new(format!(
        "!has(self.budgets) || !has(self.budgets.{scope}) || !has(self.budgets.{scope}.cost) || \
         !has(self.providers) || self.providers.all(p, p.models.all(m, has(m.prices)))"
    ))
    .message(format!("the {scope} budget has a cost: every model needs prices").as_str())
    .field_path(format!(".budgets.{scope}.cost"))
}
