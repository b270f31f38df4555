//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use gantry_telemetry::CommonFlags;
use gantry_telemetry::config::{self, Flags, Kind, Scalar};
use serde::Deserialize;

/// Assigns pods to nodes.
#[derive(Debug, Parser)]
#[command(name = "gantry-scheduler", version)]
pub struct Options {
    /// Logging, health port.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Kubeconfig that names the API server and this component's identity.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,

    /// Name by which pods ask for this scheduler.
    #[arg(long, default_value = "default-scheduler")]
    pub scheduler_name: String,

    /// Whether several schedulers agree on one by a Lease.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
}

impl Options {
    /// Reads a command line, and the configuration file that it names.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, config::Error> {
        config::parse_flags::<Self, SchedulerConfiguration>(arguments, |options| {
            options.common.config.clone()
        })
    }
}

/// The configuration file: a key for each flag. Flags override it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SchedulerConfiguration {
    scheduler_name: Option<Scalar>,
    leader_elect: Option<Scalar>,
}

impl Kind for SchedulerConfiguration {
    const KIND: &'static str = "SchedulerConfiguration";
}

impl Flags for SchedulerConfiguration {
    fn flags(self) -> Vec<(&'static str, Option<Scalar>)> {
        vec![("scheduler-name", self.scheduler_name), ("leader-elect", self.leader_elect)]
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Options, SchedulerConfiguration};
    use clap::CommandFactory;

    #[test]
    fn every_flag_has_a_key_and_every_key_a_flag() {
        let keys: Vec<&str> =
            SchedulerConfiguration::default().flags().iter().map(|(flag, _)| *flag).collect();
        let command = Options::command();
        let own = ["kubeconfig", "log-level", "log-format", "health-address", "config", "help", "version"];
        let flags: Vec<&str> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .filter(|flag| !own.contains(flag))
            .collect();
        assert_eq!(keys, flags);
    }
}
