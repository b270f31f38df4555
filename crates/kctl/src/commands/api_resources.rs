//! `kctl api-resources`

use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::output;
use crate::session::Target;

/// Lists the types of objects that the server has.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// Leave the headings away
    #[arg(long)]
    no_headers: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let discovered = session.client.discover().await?;
        let mut rows = Vec::new();
        if !args.no_headers {
            rows.push(["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"].map(str::to_owned));
        }
        for resource in discovered.resources.into_iter().filter(|resource| resource.subresource.is_empty()) {
            let version = if resource.group.is_empty() {
                resource.version
            } else {
                format!("{}/{}", resource.group, resource.version)
            };
            let namespaced = resource.namespaced.to_string();
            rows.push([
                resource.resource,
                resource.short_names.join(","),
                version,
                namespaced,
                resource.kind,
            ]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0) + 3;
        let (a, b, c, d) = (width(0), width(1), width(2), width(3));
        let lines: String = rows
            .iter()
            .map(|[name, short, version, namespaced, kind]| {
                format!("{name:<a$}{short:<b$}{version:<c$}{namespaced:<d$}{kind}\n")
            })
            .collect();
        output::print(&lines);
        Ok(ExitCode::SUCCESS)
    })
}
