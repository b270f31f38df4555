//! Definitions of custom resources.

mod conversion;
mod lists;
mod openapi;
mod rules;
mod structural;
mod version;

use super::common::{immutable, one_of, required, shown};
use super::names;
use crate::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus,
};
use crate::field::{Error, ErrorList, Path};

/// The rules of a new definition.
pub(crate) fn create(new: &CustomResourceDefinition) -> ErrorList {
    let mut errors = approval(new);
    errors.extend(definition(new));
    errors
}

/// Groups of the community are nobody's to use without its approval.
fn approval(new: &CustomResourceDefinition) -> ErrorList {
    const ANNOTATION: &str = "api-approved.kubernetes.io";
    let group = new.spec.as_ref().map(|spec| spec.group.as_str()).unwrap_or_default();
    let is = |domain: &str| group == domain || group.ends_with(&format!(".{domain}"));
    if !is("k8s.io") && !is("kubernetes.io") {
        return ErrorList::new();
    }
    let path = Path::new("metadata").child("annotations").key(ANNOTATION);
    let annotation = new.metadata.as_ref().and_then(|meta| meta.annotations.get(ANNOTATION));
    match annotation.map(String::as_str) {
        None | Some("") => {
            let detail = format!(
                "protected groups must have approval annotation {ANNOTATION:?}, see \
                 https://github.com/kubernetes/enhancements/pull/1111"
            );
            vec![Error::required(path, detail)]
        }
        Some(text) if text.starts_with("unapproved") || text.contains("://") => ErrorList::new(),
        Some(text) => {
            let rule = format!(
                "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason starting \
                 with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
            );
            vec![Error::invalid(path, text, rule)]
        }
    }
}

fn definition(definition: &CustomResourceDefinition) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = CustomResourceDefinitionSpec::default();
    let spec = definition.spec.as_ref().unwrap_or(&empty);
    let names = spec.names.clone().unwrap_or_default();
    let name = definition.metadata.as_ref().map(|meta| meta.name.as_str()).unwrap_or_default();
    if name != format!("{}.{}", names.plural, spec.group) {
        let rule = r#"must be spec.names.plural+"."+spec.group"#;
        errors.push(Error::invalid(Path::new("metadata").child("name"), name, rule));
    }
    self::spec(&mut errors, spec, &names, &Path::new("spec"));
    if let Some(status) = &definition.status {
        accepted(&mut errors, status);
    }
    errors
}

/// The rules of a change.
pub(crate) fn update(new: &CustomResourceDefinition, old: &CustomResourceDefinition) -> ErrorList {
    let mut errors = definition(new);
    let (Some(new_spec), Some(old_spec)) = (&new.spec, &old.spec) else { return errors };
    let path = Path::new("spec");
    let (names, old_names) =
        (new_spec.names.clone().unwrap_or_default(), old_spec.names.clone().unwrap_or_default());
    if old.status.as_ref().is_some_and(|status| holds(status, "Established")) {
        immutable(&mut errors, &path.child("scope"), &new_spec.scope, &old_spec.scope);
        immutable(&mut errors, &path.child("names").child("kind"), &names.kind, &old_names.kind);
    }
    immutable(&mut errors, &path.child("group"), &new_spec.group, &old_spec.group);
    immutable(&mut errors, &path.child("names").child("plural"), &names.plural, &old_names.plural);
    stored_versions(&mut errors, new);
    errors
}

/// The rules of a change of the status.
pub(crate) fn status(new: &CustomResourceDefinition) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(status) = &new.status {
        accepted(&mut errors, status);
    }
    stored_versions(&mut errors, new);
    errors
}

/// Whether a condition is true.
pub(crate) fn holds(status: &CustomResourceDefinitionStatus, condition: &str) -> bool {
    status.conditions.iter().any(|one| one.r#type == condition && one.status == "True")
}

fn accepted(errors: &mut ErrorList, status: &CustomResourceDefinitionStatus) {
    if let Some(names) = &status.accepted_names {
        syntax(errors, names, &Path::new("status").child("acceptedNames"));
    }
}

fn stored_versions(errors: &mut ErrorList, definition: &CustomResourceDefinition) {
    let path = Path::new("status").child("storedVersions");
    let stored =
        definition.status.as_ref().map(|status| status.stored_versions.as_slice()).unwrap_or_default();
    let versions = definition.spec.as_ref().map(|spec| spec.versions.as_slice()).unwrap_or_default();
    if stored.is_empty() {
        errors.push(Error::invalid(path, shown(stored), "must have at least one stored version"));
        return;
    }
    if let Some(storage) = versions.iter().find(|version| version.storage)
        && !stored.contains(&storage.name)
    {
        let rule = format!("must have the storage version {}", storage.name);
        errors.push(Error::invalid(path.clone(), shown(stored), rule));
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version.name == *name) {
            errors.push(Error::invalid(path.index(index), name.as_str(), "must appear in spec.versions"));
        }
    }
}

fn spec(
    errors: &mut ErrorList,
    spec: &CustomResourceDefinitionSpec,
    names: &CustomResourceDefinitionNames,
    path: &Path,
) {
    group(errors, &spec.group, &path.child("group"));
    match spec.scope.as_str() {
        "" => errors.push(Error::required(path.child("scope"), "")),
        scope => one_of(errors, &path.child("scope"), scope, &["Cluster", "Namespaced"]),
    }
    if spec.preserve_unknown_fields {
        let rule = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                    spec.versions[*].schema instead";
        errors.push(Error::invalid(path.child("preserveUnknownFields"), true, rule));
    }
    version::all(errors, spec, &path.child("versions"));
    let names_path = path.child("names");
    for (field, name) in [
        ("plural", &names.plural),
        ("singular", &names.singular),
        ("kind", &names.kind),
        ("listKind", &names.list_kind),
    ] {
        required(errors, &names_path.child(field), name);
    }
    syntax(errors, names, &names_path);
    if let Some(conversion) = &spec.conversion {
        conversion::conversion(errors, conversion, &path.child("conversion"));
    }
}

fn group(errors: &mut ErrorList, group: &str, path: &Path) {
    let problems = names::dns1123_subdomain(group);
    if group.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    } else if !problems.is_empty() {
        errors.push(Error::invalid(path.clone(), group, problems.join(",")));
    } else if !group.contains('.') {
        errors.push(Error::invalid(path.clone(), group, "should be a domain with at least one dot"));
    }
}

/// How names are written; those that are missing are looked for elsewhere.
fn syntax(errors: &mut ErrorList, names: &CustomResourceDefinitionNames, path: &Path) {
    let mut label = |path: Path, name: &str, folded: &str, says: &str| {
        let problems = names::dns1035_label(folded);
        if !name.is_empty() && !problems.is_empty() {
            errors.push(Error::invalid(path, name, format!("{says}{}", problems.join(","))));
        }
    };
    let mixed = "may have mixed case, but should otherwise match: ";
    label(path.child("plural"), &names.plural, &names.plural, "");
    label(path.child("singular"), &names.singular, &names.singular, "");
    label(path.child("kind"), &names.kind, &names.kind.to_lowercase(), mixed);
    label(path.child("listKind"), &names.list_kind, &names.list_kind.to_lowercase(), mixed);
    for (field, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        for (index, name) in list.iter().enumerate() {
            let problems = names::dns1035_label(name);
            if !problems.is_empty() {
                let path = path.child(field).index(index);
                errors.push(Error::invalid(path, name.as_str(), problems.join(",")));
            }
        }
    }
    if !names.kind.is_empty() && names.kind == names.list_kind {
        let rule = "kind and listKind may not be the same";
        errors.push(Error::invalid(path.child("listKind"), names.list_kind.as_str(), rule));
    }
}

#[cfg(test)]
mod tests;
