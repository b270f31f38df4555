//! The parameters that a binding gives its policy.

use gantry_api::Kind;
use gantry_api::admissionregistration::v1::{ParamKind, ParamRef};
use gantry_api::selector::LabelSelector;
use serde_json::Value;

use crate::admission::asked::typed;
use crate::cache::{Entry, Selection};
use crate::catalog::Catalog;
use crate::verbs::Verbs;

impl Verbs {
    /// The parameters of a binding for a request in `namespace`, one null where the policy has none; or what is wrong.
    pub(super) async fn params(
        &self,
        kind: Option<&ParamKind>,
        reference: Option<&ParamRef>,
        namespace: &str,
    ) -> Result<Vec<Value>, String> {
        let (Some(kind), Some(reference)) = (kind, reference) else { return Ok(vec![Value::Null]) };
        let found = find(&self.catalog(), kind).ok_or_else(|| {
            let text = format!("{}, Kind={}", kind.api_version, kind.kind);
            format!("paramKind kind `{text}` not known")
        })?;
        let namespace = place(found, reference, namespace)?;
        let cache = self.cache(found).map_err(|error| error.to_string())?;
        let entries = match (&reference.selector, reference.name.as_str()) {
            (Some(selector), "") => {
                let labels = LabelSelector::from_meta(Some(selector)).map_err(|error| error.to_string())?;
                let selection = Selection { namespace: namespace.to_owned(), labels, ..Selection::default() };
                cache.list(&selection, None, 0).map_err(|error| error.to_string())?.items
            }
            (Some(_), _) => {
                return Err("paramRef.name and paramRef.selector are mutually exclusive".to_owned());
            }
            (None, "") => return Err("one of name or selector must be provided".to_owned()),
            (None, name) => {
                let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
                cache.peek(&key).into_iter().collect()
            }
        };
        if entries.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        let entries = self.all_converted(&entries).await.map_err(|error| error.to_string())?;
        entries.iter().map(|entry| json(entry)).collect()
    }
}

fn json(entry: &Entry) -> Result<Value, String> {
    let object = entry.object().map_err(|error| error.to_string())?;
    let value = object.to_value().map_err(|error| error.to_string())?;
    Ok(typed(value, &entry.kind().api_version(), entry.kind().kind))
}

fn find(catalog: &Catalog, wanted: &ParamKind) -> Option<&'static Kind> {
    let is = |kind: &&'static Kind| kind.kind == wanted.kind && kind.api_version() == wanted.api_version;
    catalog.kinds().iter().copied().find(is).filter(|kind| !kind.review)
}

/// Where the parameters are: beside the objects, unless the binding says where.
fn place<'a>(kind: &Kind, reference: &'a ParamRef, namespace: &'a str) -> Result<&'a str, String> {
    let named = reference.namespace.as_str();
    match (kind.namespaced(), named.is_empty(), namespace.is_empty()) {
        (true, false, _) => Ok(named),
        (true, true, false) => Ok(namespace),
        (true, true, true) => {
            let text =
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            Err(text.to_owned())
        }
        (false, true, _) => Ok(""),
        (false, false, _) => {
            Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource as _;
    use gantry_api::core::v1::{ConfigMap, Node};

    use super::*;

    #[test]
    fn parameters_are_beside_the_objects_or_where_the_binding_says() {
        let reference = |namespace: &str| ParamRef { namespace: namespace.to_owned(), ..ParamRef::default() };
        let (map, node) = (ConfigMap::kind(), Node::kind());
        assert_eq!(place(map, &reference("a"), "b"), Ok("a"));
        assert_eq!(place(map, &reference(""), "b"), Ok("b"));
        assert!(place(map, &reference(""), "").unwrap_err().starts_with("cannot use namespaced paramRef"));
        assert_eq!(place(node, &reference(""), "b"), Ok(""));
        assert!(place(node, &reference("a"), "b").unwrap_err().starts_with("paramRef.namespace must not"));
    }
}
