//! How objects are turned from one version into another.

use crate::apiextensions::v1::{CustomResourceConversion, WebhookClientConfig};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{one_of, required};
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
        (Some(url), None) => url_of_webhook(errors, url, &path.child("url")),
        (None, Some(service)) => {
            let path = path.child("service");
            required(errors, &path.child("name"), &service.name);
            required(errors, &path.child("namespace"), &service.namespace);
            let port = service.port.unwrap_or(443);
            if !(1..=65535).contains(&port) {
                let rule = "port is not valid: must be between 1 and 65535, inclusive";
                errors.push(Error::invalid(path.child("port"), port, rule));
            }
            if let Some(text) = service.path.as_deref().filter(|text| !text.starts_with('/')) {
                errors.push(Error::invalid(path.child("path"), text, "must start with a '/'"));
            }
        }
        _ => errors.push(Error::required(path.clone(), "exactly one of url or service is required")),
    }
}

fn url_of_webhook(errors: &mut ErrorList, url: &str, path: &Path) {
    let form = "; desired format: https://host[/path]";
    let Some(rest) = url.strip_prefix("https://") else {
        let rule = format!("'https' is the only allowed URL scheme{form}");
        errors.push(Error::invalid(path.clone(), url, rule));
        return;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        errors.push(Error::invalid(path.clone(), url, format!("host must be specified{form}")));
    }
    if host.contains('@') {
        errors.push(Error::invalid(path.clone(), url, "user information is not permitted in the URL"));
    }
    for (mark, what) in [('#', "fragments are"), ('?', "query parameters are")] {
        if rest.contains(mark) {
            errors.push(Error::invalid(path.clone(), url, format!("{what} not permitted in the URL")));
        }
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
