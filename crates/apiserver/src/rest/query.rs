//! Query parameters as options; a value that does not fit is refused by its name.

use std::str::FromStr;

use gantry_api::core::v1::PodLogOptions;
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, UpdateOptions,
};
use gantry_api::scalars::Time;

use super::exec;
use crate::status::ApiError;

/// The parameters of a request. Unknown ones are ignored, as upstream ignores them.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldValidation {
    /// Nothing.
    Ignore,
    /// Warn the client.
    Warn,
    /// Refuse the request.
    Strict,
}

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        let text = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        text.filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    fn all(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| invalid(name, text, "an integer"));
        self.text(name).map(parse).transpose()
    }

    /// Go reads more spellings than Rust; a parameter without a value is true.
    fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some((_, text)) = self.0.iter().find(|(key, _)| key == name) else { return Ok(None) };
        match text.as_str() {
            "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            other => Err(invalid(name, other, "true or false")),
        }
    }

    /// Whether JSON should be laid out for people.
    pub(super) fn pretty(&self) -> Result<bool, ApiError> {
        Ok(self.flag("pretty")?.unwrap_or(false))
    }

    /// The hash in the address of a document.
    pub(super) fn hash(&self) -> Option<&str> {
        self.text("hash")
    }

    /// Whether a GET is a watch.
    pub(super) fn watch(&self) -> Result<bool, ApiError> {
        Ok(self.flag("watch")?.unwrap_or(false))
    }

    /// What a row of a table carries.
    pub(super) fn include_object(&self) -> Result<crate::table::IncludeObject, ApiError> {
        use crate::table::IncludeObject;
        match self.text("includeObject") {
            None | Some("Metadata") => Ok(IncludeObject::Metadata),
            Some("None") => Ok(IncludeObject::None),
            Some("Object") => Ok(IncludeObject::Object),
            Some(other) => Err(invalid("includeObject", other, "None, Metadata or Object")),
        }
    }

    /// What to do with unknown fields; REST warns where nothing is said.
    pub(super) fn field_validation(&self) -> Result<FieldValidation, ApiError> {
        match self.text("fieldValidation") {
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Ignore") => Ok(FieldValidation::Ignore),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => Err(invalid("fieldValidation", other, "Ignore, Warn or Strict")),
        }
    }

    fn dry_run(&self) -> Result<Vec<String>, ApiError> {
        let values = self.all("dryRun");
        match values.iter().find(|value| *value != "All") {
            Some(other) => Err(invalid("dryRun", other, "All")),
            None => Ok(values),
        }
    }

    pub(super) fn get(&self) -> GetOptions {
        GetOptions { resource_version: self.owned("resourceVersion") }
    }

    pub(super) fn list(&self) -> Result<ListOptions, ApiError> {
        let limit: i64 = self.number("limit")?.unwrap_or(0);
        if limit < 0 {
            return Err(invalid("limit", &limit.to_string(), "zero or more"));
        }
        Ok(ListOptions {
            label_selector: self.owned("labelSelector"),
            field_selector: self.owned("fieldSelector"),
            watch: self.watch()?,
            allow_watch_bookmarks: self.flag("allowWatchBookmarks")?.unwrap_or(false),
            resource_version: self.owned("resourceVersion"),
            resource_version_match: self.owned("resourceVersionMatch"),
            timeout_seconds: self.number("timeoutSeconds")?,
            limit,
            r#continue: self.owned("continue"),
            send_initial_events: self.flag("sendInitialEvents")?,
        })
    }

    pub(super) fn create(&self) -> Result<CreateOptions, ApiError> {
        Ok(CreateOptions {
            dry_run: self.dry_run()?,
            field_manager: self.owned("fieldManager"),
            field_validation: self.owned("fieldValidation"),
        })
    }

    pub(super) fn update(&self) -> Result<UpdateOptions, ApiError> {
        Ok(UpdateOptions {
            dry_run: self.dry_run()?,
            field_manager: self.owned("fieldManager"),
            field_validation: self.owned("fieldValidation"),
        })
    }

    pub(super) fn patch(&self) -> Result<PatchOptions, ApiError> {
        Ok(PatchOptions {
            dry_run: self.dry_run()?,
            force: self.flag("force")?,
            field_manager: self.owned("fieldManager"),
            field_validation: self.owned("fieldValidation"),
        })
    }

    /// The options of a DELETE: those of its body, completed by the parameters.
    pub(super) fn delete(&self, mut body: DeleteOptions) -> Result<DeleteOptions, ApiError> {
        if let Some(seconds) = self.number("gracePeriodSeconds")? {
            body.grace_period_seconds = Some(seconds);
        }
        if let Some(policy) = self.text("propagationPolicy") {
            body.propagation_policy = Some(policy.to_owned());
        }
        if let Some(orphan) = self.flag("orphanDependents")? {
            body.orphan_dependents = Some(orphan);
        }
        if body.dry_run.is_empty() {
            body.dry_run = self.dry_run()?;
        }
        Ok(body)
    }

    pub(super) fn exec(&self) -> Result<exec::Options, ApiError> {
        // An empty word of a command is a word.
        let words = self.0.iter().filter(|(key, _)| key == "command");
        let flag = |name| Ok::<_, ApiError>(self.flag(name)?.unwrap_or(false));
        Ok(exec::Options {
            container: self.owned("container"),
            command: words.map(|(_, word)| word.clone()).collect(),
            stdin: flag("stdin")?,
            stdout: flag("stdout")?,
            stderr: flag("stderr")?,
            tty: flag("tty")?,
        })
    }

    pub(super) fn log(&self) -> Result<PodLogOptions, ApiError> {
        let since_time = match self.text("sinceTime") {
            None => None,
            Some(text) => {
                let time = text.parse::<jiff::Timestamp>();
                Some(Time::from(time.map_err(|_| invalid("sinceTime", text, "a time (RFC 3339)"))?))
            }
        };
        Ok(PodLogOptions {
            container: self.owned("container"),
            follow: self.flag("follow")?.unwrap_or(false),
            previous: self.flag("previous")?.unwrap_or(false),
            since_seconds: self.number("sinceSeconds")?,
            since_time,
            timestamps: self.flag("timestamps")?.unwrap_or(false),
            tail_lines: self.number("tailLines")?,
            limit_bytes: self.number("limitBytes")?,
            ..PodLogOptions::default()
        })
    }
}

fn invalid(name: &str, value: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!("invalid query parameter {name}: {value:?} must be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_from_parameters() {
        let query = Query::parse("labelSelector=app%3Dweb%2Ctier&limit=5&watch&timeoutSeconds=30&unknown=1");
        let options = query.list().unwrap();
        assert_eq!(options.label_selector, "app=web,tier");
        assert_eq!((options.limit, options.watch, options.timeout_seconds), (5, true, Some(30)));
    }

    #[test]
    fn a_command_keeps_its_empty_words() {
        let query = Query::parse("command=sh&command=-c&command=&stdout=true&tty=0&container=c");
        let options = query.exec().unwrap();
        assert_eq!(
            (options.command, options.container.as_str()),
            (vec!["sh".into(), "-c".into(), String::new()], "c")
        );
        assert_eq!((options.stdin, options.stdout, options.stderr, options.tty), (false, true, false, false));
        assert!(Query::parse("tty=maybe").exec().unwrap_err().to_string().contains("tty"));
    }

    #[test]
    fn wrong_values_name_their_parameter() {
        for (query, name) in [
            ("limit=many", "limit"),
            ("limit=-1", "limit"),
            ("watch=maybe", "watch"),
            ("timeoutSeconds=x", "timeoutSeconds"),
        ] {
            let error = Query::parse(query).list().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(Query::parse("dryRun=Some").create().unwrap_err().to_string().contains("dryRun"));
        assert!(Query::parse("fieldValidation=No").field_validation().is_err());
        assert!(Query::parse("sinceTime=now").log().unwrap_err().to_string().contains("sinceTime"));
    }
}
