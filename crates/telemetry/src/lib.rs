//! Logs, metrics, health and configuration loading: the shared start-up of every component.
//!
//! A component's `main` is short:
//!
//! ```no_run
//! use clap::Parser;
//! use gantry_telemetry::{CommonFlags, health, notify, shutdown};
//!
//! #[derive(Parser)]
//! struct Flags {
//!     #[command(flatten)]
//!     common: CommonFlags,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let flags = Flags::parse();
//! flags.common.init("gantry-example")?;
//! let stop = shutdown();
//! let checks = health::Checks::new();
//! checks.readyz("synced", || Ok(()));
//! let _health = flags.common.serve_health("127.0.0.1:10999", checks, stop.clone()).await?;
//! notify::ready();
//! stop.cancelled().await;
//! notify::stopping();
//! # Ok(())
//! # }
//! ```

pub mod config;
mod flags;
pub mod health;
mod logs;
pub mod notify;
mod process;
mod signals;
pub mod wait;

pub use flags::CommonFlags;
pub use logs::{Error as LogError, Format as LogFormat, init, init_with};
pub use process::Metrics as ProcessMetrics;
pub use signals::shutdown;
