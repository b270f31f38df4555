//! The health protocol of gRPC.

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Asks whether `service` serves; empty asks for the whole server.
pub(crate) async fn check(host: &str, port: u16, service: &str) -> Result<(), String> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|error| error.to_string())?;
    let channel =
        endpoint.connect().await.map_err(|error| format!("dial tcp {authority}: {}", root(&error)))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    let response = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|status| format!("{authority}: {} ({:?})", status.message(), status.code()))?;
    match response.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!("service unhealthy (responded with {:?})", other.as_str_name())),
    }
}

/// What lies at the bottom of an error: the transport's own text says only that there is one.
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
