//! How objects are turned from one version into another.

use crate::apiextensions::v1::{CustomResourceConversion, WebhookClientConfig};
use crate::field::{Error, ErrorList, Path};
use crate::validation::admission::{service, url};
use crate::validation::common::one_of;
use crate::validation::names;

const ONLY_WEBHOOK: &str = "should not be set when strategy is not set to Webhook";

pub(super) fn conversion(errors: &mut ErrorList, conversion: &CustomResourceConversion, path: &Path) {
    match conversion.strategy.as_str() {
        "" => errors.push(Error::required(path.child("strategy"), "")),
        strategy => one_of(errors, &path.child("strategy"), strategy, &["None", "Webhook"]),
    }
    // Upstream's paths are those of an older version, in which these two were not below `webhook`.
    let (client, versions) = (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    let webhook = conversion.webhook.clone().unwrap_or_default();
    let reviews = &webhook.conversion_review_versions;
    if conversion.strategy != "Webhook" {
        if webhook.client_config.is_some() {
            errors.push(Error::forbidden(client, ONLY_WEBHOOK));
        }
        if !reviews.is_empty() {
            errors.push(Error::forbidden(versions, ONLY_WEBHOOK));
        }
        return;
    }
    match &webhook.client_config {
        None => errors.push(Error::required(client, "required when strategy is set to Webhook")),
        Some(config) => client_config(errors, config, &client),
    }
    review_versions(errors, reviews, &versions);
}

fn client_config(errors: &mut ErrorList, config: &WebhookClientConfig, path: &Path) {
    match (&config.url, &config.service) {
        (Some(text), None) => url(errors, text, &path.child("url")),
        (None, Some(to)) => {
            let names = (to.namespace.as_str(), to.name.as_str());
            let port = to.port.unwrap_or(443);
            service(errors, names, to.path.as_deref(), port, &path.child("service"));
        }
        _ => errors.push(Error::required(path.clone(), "exactly one of url or service is required")),
    }
}

fn review_versions(errors: &mut ErrorList, versions: &[String], path: &Path) {
    if versions.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    let mut seen: Vec<&String> = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let problems = names::dns1035_label(version);
        if seen.contains(&version) {
            errors.push(Error::invalid(path.index(index), version.as_str(), "duplicate version"));
        } else if !problems.is_empty() {
            errors.push(Error::invalid(path.index(index), version.as_str(), problems.join(",")));
        }
        seen.push(version);
    }
    if !versions.iter().any(|version| matches!(version.as_str(), "v1" | "v1beta1")) {
        let rule = "must include at least one of v1, v1beta1";
        errors.push(Error::invalid(path.clone(), versions.to_vec(), rule));
    }
}
