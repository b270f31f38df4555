//! `kctl create`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand};
use gantry_api::core::v1::{ConfigMap, Namespace, Secret};
use gantry_api::{Object, Resource};
use gantry_client::CreateOptions;

use super::apply::DryRun;
use crate::manifest::Files;
use crate::names::qualified;
use crate::session::{Session, Target};

/// Creates objects, from files or from the command line.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    files: Files,

    /// Have everything checked by the server, and create nothing
    #[arg(long, value_name = "none|server", default_value = "none")]
    dry_run: DryRun,

    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a namespace
    #[command(visible_alias = "ns")]
    Namespace {
        /// Its name
        name: String,
    },
    /// Create a ConfigMap
    #[command(visible_alias = "cm")]
    Configmap {
        /// Its name
        name: String,
        #[command(flatten)]
        data: Data,
    },
    /// Create a Secret of type Opaque
    Secret {
        /// Its name
        name: String,
        #[command(flatten)]
        data: Data,
    },
    /// Create a Deployment
    #[command(visible_alias = "deploy")]
    Deployment {
        /// Its name, and the value of its label `app`
        name: String,
        /// The image that its pods run
        #[arg(long)]
        image: String,
        /// How many pods
        #[arg(long, default_value_t = 1)]
        replicas: i32,
        /// The port that the container listens on
        #[arg(long)]
        port: Option<u16>,
    },
}

#[derive(Debug, ClapArgs)]
struct Data {
    /// An entry; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    from_literal: Vec<String>,
    /// A file whose content is an entry, under its name or KEY; may be given several times
    #[arg(long, value_name = "[KEY=]FILE")]
    from_file: Vec<String>,
}

impl Data {
    fn entries(&self) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut entries = BTreeMap::new();
        let mut add = |key: String, value: Vec<u8>| match entries.insert(key.clone(), value) {
            Some(_) => bail!("the key {key:?} is given twice"),
            None => Ok(()),
        };
        for literal in &self.from_literal {
            let (key, value) = literal
                .split_once('=')
                .with_context(|| format!("--from-literal {literal:?}: must be KEY=VALUE"))?;
            add(key.to_owned(), value.as_bytes().to_vec())?;
        }
        for file in &self.from_file {
            let (key, path) = match file.split_once('=') {
                Some((key, path)) => (key.to_owned(), PathBuf::from(path)),
                None => (file_name(Path::new(file))?, PathBuf::from(file)),
            };
            let value = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            add(key, value)?;
        }
        Ok(entries)
    }
}

fn file_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{} has no name to use as a key", path.display()))?.to_owned())
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.target.clone();
    target.run(|session| async move {
        let objects: Vec<Box<dyn Object>> = match args.what {
            Some(what) => vec![what.object()?],
            None => {
                let manifests = session.manifests(&args.files, args.files.documents()?).await?;
                manifests.into_iter().map(|manifest| manifest.object).collect()
            }
        };
        let mut code = ExitCode::SUCCESS;
        for object in objects {
            match create(&session, object.as_ref(), args.dry_run).await {
                Ok(name) => println!("{} created{}", qualified(object.kind(), &name), args.dry_run.suffix()),
                Err(error) => {
                    eprintln!("error: {error}");
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    })
}

async fn create(
    session: &Session,
    object: &dyn Object,
    dry_run: DryRun,
) -> Result<String, gantry_client::Error> {
    let mut session = session.clone();
    if !object.meta().namespace.is_empty() {
        session.namespace.clone_from(&object.meta().namespace);
    }
    let options = CreateOptions { dry_run: dry_run.parameter(), ..CreateOptions::default() };
    let created = session.api(object.kind(), false).create(object, &options).await?;
    Ok(created.meta().name.clone())
}

impl What {
    fn object(self) -> anyhow::Result<Box<dyn Object>> {
        Ok(match self {
            Self::Namespace { name } => Box::new(named::<Namespace>(name)),
            Self::Configmap { name, data } => {
                let mut object = named::<ConfigMap>(name);
                for (key, value) in data.entries()? {
                    match String::from_utf8(value) {
                        Ok(text) => {
                            object.data.insert(key, text);
                        }
                        Err(bytes) => {
                            object.binary_data.insert(key, bytes.into_bytes().into());
                        }
                    }
                }
                Box::new(object)
            }
            Self::Secret { name, data } => {
                let mut object = named::<Secret>(name);
                object.r#type = "Opaque".to_owned();
                object.data = data.entries()?.into_iter().map(|(key, value)| (key, value.into())).collect();
                Box::new(object)
            }
            Self::Deployment { name, image, replicas, port } => {
                let ports: Vec<_> =
                    port.iter().map(|port| serde_json::json!({"containerPort": port})).collect();
                let deployment: gantry_api::apps::v1::Deployment =
                    serde_json::from_value(serde_json::json!({
                        "metadata": {"name": name, "labels": {"app": name}},
                        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                            "template": {"metadata": {"labels": {"app": name}},
                                "spec": {"containers": [{"name": name, "image": image, "ports": ports}]}}}
                    }))?;
                Box::new(deployment)
            }
        })
    }
}

fn named<T: Resource>(name: String) -> T {
    let mut object = T::default();
    object.meta_mut().name = name;
    object
}
