//! Which container of a pod is meant.

use gantry_api::core::v1::Pod;

use crate::status::ApiError;

/// The container of this name, or the only one.
pub(super) fn choose(pod: &Pod, wanted: &str) -> Result<String, ApiError> {
    let name = pod.metadata.as_ref().map_or("", |meta| meta.name.as_str());
    let Some(spec) = &pod.spec else { return Err(ApiError::internal("the pod has no specification")) };
    let containers: Vec<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
    let init: Vec<&str> = spec.init_containers.iter().map(|one| one.name.as_str()).collect();
    if !wanted.is_empty() {
        let ephemeral = spec.ephemeral_containers.iter().flat_map(|one| &one.ephemeral_container_common);
        let mut ephemeral = ephemeral.map(|one| one.name.as_str());
        let known =
            containers.contains(&wanted) || init.contains(&wanted) || ephemeral.any(|one| one == wanted);
        if known {
            return Ok(wanted.to_owned());
        }
        return Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {name}")));
    }
    match containers.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(ApiError::bad_request(format!("a container name must be specified for pod {name}"))),
        several => {
            let mut text = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                several.join(" ")
            );
            if !init.is_empty() {
                text.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            Err(ApiError::bad_request(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_choice_is_asked_for() {
        let pod = |init: &[&str], containers: &[&str]| -> Pod {
            let of = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
            serde_json::from_value(json!({
                "metadata": {"name": "p"},
                "spec": {"initContainers": of(init), "containers": of(containers)},
            }))
            .unwrap()
        };
        assert_eq!(choose(&pod(&["i"], &["a"]), "").unwrap(), "a");
        assert_eq!(choose(&pod(&["i"], &["a"]), "i").unwrap(), "i");
        let error = |pod: &Pod, wanted: &str| choose(pod, wanted).unwrap_err().to_string();
        assert_eq!(
            error(&pod(&[], &["a", "b"]), ""),
            "a container name must be specified for pod p, choose one of: [a b]"
        );
        assert_eq!(
            error(&pod(&["i"], &["a", "b"]), ""),
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        assert_eq!(error(&pod(&[], &["a"]), "x"), "container x is not valid for pod p");
    }
}
