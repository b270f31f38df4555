//! Components whose configuration file says the same as their flags.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::Parser;
use clap::parser::ValueSource;
use serde::de::{Deserialize, Deserializer, Visitor};

use super::{Error, Kind, load};

/// A value of a file that a flag takes as text: a text, a number or a boolean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;
        impl Visitor<'_> for AnyScalar {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a boolean")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
        }
        deserializer.deserialize_any(AnyScalar)
    }
}

/// A kind whose keys are flags.
pub trait Flags: Kind {
    /// The flags by their long names, with what the file says.
    fn flags(self) -> Vec<(&'static str, Option<Scalar>)>;
}

/// Reads a command line, and for the flags that it does not give the configuration file that it names.
pub fn parse_flags<O: Parser, K: Flags>(
    arguments: impl IntoIterator<Item = OsString>,
    file: impl FnOnce(&O) -> Option<PathBuf>,
) -> Result<O, Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let given = O::command().try_get_matches_from(&arguments)?;
    let options = O::from_arg_matches(&given)?;
    let Some(path) = file(&options) else { return Ok(options) };
    for (flag, value) in load::<K>(&path)?.flags() {
        // The derive names an argument after its field.
        let source = given.value_source(&flag.replace('-', "_"));
        let is_given = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        if let Some(Scalar(value)) = value.filter(|_| !is_given) {
            arguments.push(format!("--{flag}={value}").into());
        }
    }
    Ok(O::try_parse_from(arguments)?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::{Flags, Scalar, parse_flags};
    use crate::config::{Error, Kind};

    #[derive(Debug, Parser)]
    struct Options {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long, default_value = "10.0.0.0/8")]
        pod_range: String,
        #[arg(long, default_value_t = 5)]
        workers: u8,
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        elect: bool,
    }

    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct File {
        pod_range: Option<Scalar>,
        workers: Option<Scalar>,
        elect: Option<Scalar>,
    }

    impl Kind for File {
        const KIND: &'static str = "TestConfiguration";
    }

    impl Flags for File {
        fn flags(self) -> Vec<(&'static str, Option<Scalar>)> {
            vec![("pod-range", self.pod_range), ("workers", self.workers), ("elect", self.elect)]
        }
    }

    fn read(body: &str, flags: &[&str]) -> Result<Options, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.yaml");
        std::fs::write(&path, format!("apiVersion: gantry.dev/v1alpha1\nkind: TestConfiguration\n{body}"))
            .unwrap();
        let file = format!("--config={}", path.display());
        let arguments = ["test", &file].into_iter().chain(flags.iter().copied()).map(Into::into);
        parse_flags::<Options, File>(arguments, |options| options.config.clone())
    }

    #[test]
    fn the_command_line_overrides_the_file_and_the_file_the_defaults() {
        let options = read("workers: 9\nelect: false\n", &["--workers=7"]).unwrap();
        assert_eq!((options.pod_range.as_str(), options.workers, options.elect), ("10.0.0.0/8", 7, false));
        let options = read("podRange: 10.9.0.0/16\nworkers: 9\n", &[]).unwrap();
        assert_eq!((options.pod_range.as_str(), options.workers, options.elect), ("10.9.0.0/16", 9, true));
    }

    #[test]
    fn wrong_keys_and_values_are_refused() {
        assert!(read("worker: 9\n", &[]).unwrap_err().to_string().contains("file.yaml"));
        let error = read("workers: many\n", &[]).unwrap_err();
        assert!(matches!(error, Error::Flags(_)) && error.to_string().contains("--workers"), "{error}");
        assert!(matches!(read("workers: [1]\n", &[]).unwrap_err(), Error::File { .. }));
    }
}
