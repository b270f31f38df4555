//! Health checks and the plain HTTP port that serves them with the metrics.
//!
//! `/livez` says whether the process should be restarted, `/readyz` whether it should get traffic; `/healthz` is
//! the old name of the former. Each is `ok` with 200 or lists what fails with 500; `?verbose` lists every check.

mod checks;
mod server;

pub use checks::{Checks, Kind, Report};
pub use server::{Error, Server};

/// The metrics of the default registry in Prometheus' text format.
pub fn metrics() -> Result<String, prometheus::Error> {
    prometheus::TextEncoder::new().encode_to_string(&prometheus::gather())
}
