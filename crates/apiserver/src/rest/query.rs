//! Query parameters as options; a value that does not fit is refused by its name.

use std::str::FromStr;

use gantry_api::core::v1::PodLogOptions;
use gantry_api::field::{Error, ErrorList, Path};
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, UpdateOptions,
};
use gantry_api::scalars::Time;
use gantry_api::schema::not_a_time;
use gantry_api::selector::FieldSelector;
use http::HeaderMap;
use http::header::USER_AGENT;

use super::exec;
use crate::status::ApiError;
use crate::verbs::options::{dry_run_error, manager_errors, manager_of, patch_errors};

/// The parameters of a request. Unknown ones are ignored, as upstream ignores them.
#[derive(Debug, Default)]
pub(super) struct Query {
    parameters: Vec<(String, String)>,
    /// The field manager that the user agent stands for.
    agent: String,
}

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
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { parameters, agent: String::new() }
    }

    /// The same for a client with these headers.
    pub(super) fn with_agent(mut self, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        self.agent = manager_of(agent.unwrap_or_default());
        self
    }

    fn text(&self, name: &str) -> Option<&str> {
        let text = self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        text.filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    fn all(&self, name: &str) -> Vec<String> {
        let values = self.parameters.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            // As Go says it; what does not begin like a number is no number, everything else does not fit.
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            text.parse()
                .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// A flag is set by anything but the words for no; by nothing, too.
    fn flag(&self, name: &str) -> Option<bool> {
        let (_, text) = self.parameters.iter().find(|(key, _)| key == name)?;
        Some(text != "0" && !text.eq_ignore_ascii_case("false"))
    }

    /// Whether JSON should be laid out for people, where the client says so.
    pub(super) fn pretty(&self) -> Option<bool> {
        self.text("pretty").map(|text| matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// The hash in the address of a document.
    pub(super) fn hash(&self) -> Option<&str> {
        self.text("hash")
    }

    /// How many objects a list may have; 0 for all, and where it is no number.
    pub(super) fn limit(&self) -> u64 {
        self.text("limit").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Whether a watch begins with the objects that are there.
    pub(super) fn begins_with_objects(&self) -> bool {
        self.flag("sendInitialEvents") == Some(true)
            || matches!(self.text("resourceVersion"), None | Some("0"))
    }

    /// Whether a GET is a watch.
    pub(super) fn watch(&self) -> bool {
        self.flag("watch").unwrap_or(false)
    }

    /// The field selector; none where it cannot be read, which is refused when it is used.
    pub(super) fn fields(&self) -> Option<FieldSelector> {
        self.text("fieldSelector").and_then(|text| FieldSelector::parse(text).ok())
    }

    /// What a row of a table carries.
    pub(super) fn include_object(&self) -> Result<crate::table::IncludeObject, ApiError> {
        use crate::table::IncludeObject;
        match self.text("includeObject") {
            None | Some("Metadata") => Ok(IncludeObject::Metadata),
            Some("None") => Ok(IncludeObject::None),
            Some("Object") => Ok(IncludeObject::Object),
            Some(other) => {
                let rule = "must be 'Metadata', 'Object', 'None', or empty";
                let error = Error::invalid(Path::new("includeObject"), other, rule);
                Err(ApiError::bad_request(format!("Unable to convert to Table as requested: {error}")))
            }
        }
    }

    /// What to do with unknown fields; REST warns where nothing is said. Other words are refused with the options.
    pub(super) fn field_validation(&self) -> FieldValidation {
        match self.text("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        }
    }

    /// `dryRun`; refuses what no write of the named options takes.
    fn write(&self, options: &str, mut errors: ErrorList) -> Result<Vec<String>, ApiError> {
        let dry_run = self.all("dryRun");
        errors.extend(manager_errors(&self.owned("fieldManager")));
        errors.extend(dry_run_error(&dry_run));
        let validation = self.text("fieldValidation");
        if let Some(other) = validation.filter(|text| !matches!(*text, "Ignore" | "Strict" | "Warn")) {
            let supported = ["", "Ignore", "Strict", "Warn"];
            errors.push(Error::not_supported(Path::new("fieldValidation"), other, &supported));
        }
        if errors.is_empty() { Ok(dry_run) } else { Err(ApiError::invalid_options(options, &errors)) }
    }

    pub(super) fn get(&self) -> GetOptions {
        GetOptions { resource_version: self.owned("resourceVersion") }
    }

    pub(super) fn list(&self) -> Result<ListOptions, ApiError> {
        Ok(ListOptions {
            label_selector: self.owned("labelSelector"),
            field_selector: self.owned("fieldSelector"),
            watch: self.watch(),
            allow_watch_bookmarks: self.flag("allowWatchBookmarks").unwrap_or(false),
            resource_version: self.owned("resourceVersion"),
            resource_version_match: self.owned("resourceVersionMatch"),
            timeout_seconds: self.number("timeoutSeconds")?,
            limit: self.number("limit")?.unwrap_or(0),
            r#continue: self.owned("continue"),
            send_initial_events: self.flag("sendInitialEvents"),
        })
    }

    pub(super) fn create(&self) -> Result<CreateOptions, ApiError> {
        Ok(CreateOptions {
            dry_run: self.write("CreateOptions", ErrorList::new())?,
            field_manager: self.field_manager(false),
            field_validation: self.owned("fieldValidation"),
        })
    }

    pub(super) fn update(&self) -> Result<UpdateOptions, ApiError> {
        Ok(UpdateOptions {
            dry_run: self.write("UpdateOptions", ErrorList::new())?,
            field_manager: self.field_manager(false),
            field_validation: self.owned("fieldValidation"),
        })
    }

    /// The options of a patch, or of an apply.
    pub(super) fn patch(&self, apply: bool) -> Result<PatchOptions, ApiError> {
        let mut options = PatchOptions {
            dry_run: Vec::new(),
            force: self.flag("force"),
            field_manager: self.field_manager(apply),
            field_validation: self.owned("fieldValidation"),
        };
        options.dry_run = self.write("PatchOptions", patch_errors(&options, apply))?;
        Ok(options)
    }

    /// Who manages the fields that are written: by default whoever the user agent says, but for an apply.
    fn field_manager(&self, apply: bool) -> String {
        match self.text("fieldManager") {
            Some(manager) => manager.to_owned(),
            None if apply => String::new(),
            None => self.agent.clone(),
        }
    }

    /// The options of a DELETE without a body.
    pub(super) fn delete(&self) -> Result<DeleteOptions, ApiError> {
        Ok(DeleteOptions {
            grace_period_seconds: self.number("gracePeriodSeconds")?,
            propagation_policy: self.text("propagationPolicy").map(str::to_owned),
            orphan_dependents: self.flag("orphanDependents"),
            dry_run: self.all("dryRun"),
            ..DeleteOptions::default()
        })
    }

    pub(super) fn exec(&self) -> exec::Options {
        // An empty word of a command is a word.
        let words = self.parameters.iter().filter(|(key, _)| key == "command");
        let flag = |name| self.flag(name).unwrap_or(false);
        exec::Options {
            container: self.owned("container"),
            command: words.map(|(_, word)| word.clone()).collect(),
            stdin: flag("stdin"),
            stdout: flag("stdout"),
            stderr: flag("stderr"),
            tty: flag("tty"),
        }
    }

    /// The ports that are to be forwarded; several may stand in one parameter.
    pub(super) fn ports(&self) -> Result<Vec<u16>, ApiError> {
        let texts = self.parameters.iter().filter(|(key, value)| key == "ports" && !value.is_empty());
        let words = texts.flat_map(|(_, text)| text.split(','));
        let port = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            let wrong = format!("cannot convert to []int32: strconv.ParseUint: parsing {text:?}: {why}");
            text.parse().map_err(|_| ApiError::bad_request(wrong))
        };
        words.map(port).collect()
    }

    pub(super) fn log(&self) -> Result<PodLogOptions, ApiError> {
        let since_time = match self.text("sinceTime") {
            None => None,
            Some(text) => {
                let time = text.parse::<jiff::Timestamp>();
                Some(Time::from(time.map_err(|_| ApiError::bad_request(not_a_time(text)))?))
            }
        };
        Ok(PodLogOptions {
            container: self.owned("container"),
            follow: self.flag("follow").unwrap_or(false),
            previous: self.flag("previous").unwrap_or(false),
            since_seconds: self.number("sinceSeconds")?,
            since_time,
            timestamps: self.flag("timestamps").unwrap_or(false),
            tail_lines: self.number("tailLines")?,
            limit_bytes: self.number("limitBytes")?,
            insecure_skip_tls_verify_backend: self.flag("insecureSkipTLSVerifyBackend"),
            stream: self.text("stream").unwrap_or("All").to_owned(),
        })
    }
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
        let options = query.exec();
        assert_eq!(
            (options.command, options.container.as_str()),
            (vec!["sh".into(), "-c".into(), String::new()], "c")
        );
        assert_eq!((options.stdin, options.stdout, options.stderr, options.tty), (false, true, false, false));
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let error = |query: &str| Query::parse(query).list().unwrap_err().to_string();
        assert_eq!(error("limit=many"), r#"strconv.ParseInt: parsing "many": invalid syntax"#);
        let large = "99999999999999999999";
        assert_eq!(
            error(&format!("limit={large}")),
            format!("strconv.ParseInt: parsing {large:?}: value out of range")
        );
        let error = Query::parse("sinceTime=now").log().unwrap_err().to_string();
        assert_eq!(
            error,
            r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#
        );
    }

    #[test]
    fn ports_stand_side_by_side_or_one_by_one() {
        assert_eq!(Query::parse("ports=80,81&ports=90").ports().unwrap(), [80, 81, 90]);
        let error = |query: &str| Query::parse(query).ports().unwrap_err().to_string();
        let text = "cannot convert to []int32: strconv.ParseUint: parsing \"x\": invalid syntax";
        assert_eq!(error("ports=x"), text);
        assert!(error("ports=70000").ends_with("value out of range"));
    }

    #[test]
    fn flags_are_set_by_everything_but_no() {
        for (query, watch) in [
            ("watch", true),
            ("watch=maybe", true),
            ("watch=1", true),
            ("watch=0", false),
            ("watch=False", false),
            ("", false),
        ] {
            assert_eq!(Query::parse(query).watch(), watch, "{query}");
        }
        assert_eq!(Query::parse("pretty=true").pretty(), Some(true));
        assert_eq!(Query::parse("pretty=perhaps").pretty(), Some(false));
        assert_eq!(Query::parse("").pretty(), None);
    }

    #[test]
    fn every_wrong_option_of_a_write_is_named() {
        let error = Query::parse("dryRun=Some&fieldValidation=No").create().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"CreateOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: ["Some"]: supported values: "All", fieldValidation: Unsupported value: "No": supported values: "", "Ignore", "Strict", "Warn"]"#
        );
    }
}
