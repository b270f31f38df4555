//! The configuration file: a key for each flag that a start can do without. Flags override it.

use gantry_telemetry::config::{Flags, Kind, Scalar};
use serde::Deserialize;

/// The configuration of the API server.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiServerConfiguration {
    storage: Option<Scalar>,
    etcd_servers: Option<Scalar>,
    etcd_cafile: Option<Scalar>,
    etcd_certfile: Option<Scalar>,
    etcd_keyfile: Option<Scalar>,
    etcd_prefix: Option<Scalar>,
    event_ttl: Option<Scalar>,
    default_not_ready_toleration_seconds: Option<Scalar>,
    default_unreachable_toleration_seconds: Option<Scalar>,
    bind_address: Option<Scalar>,
    secure_port: Option<Scalar>,
    advertise_address: Option<Scalar>,
    requestheader_client_ca_file: Option<Scalar>,
    requestheader_allowed_names: Option<Scalar>,
    requestheader_username_headers: Option<Scalar>,
    requestheader_uid_headers: Option<Scalar>,
    requestheader_group_headers: Option<Scalar>,
    requestheader_extra_headers_prefix: Option<Scalar>,
    proxy_client_cert_file: Option<Scalar>,
    proxy_client_key_file: Option<Scalar>,
    service_account_signing_key_file: Option<Scalar>,
    service_account_key_file: Option<Scalar>,
    service_account_issuer: Option<Scalar>,
    api_audiences: Option<Scalar>,
    service_account_max_token_expiration: Option<Scalar>,
    service_account_jwks_uri: Option<Scalar>,
    token_auth_file: Option<Scalar>,
    enable_bootstrap_token_auth: Option<Scalar>,
    enable_admission_plugins: Option<Scalar>,
    disable_admission_plugins: Option<Scalar>,
    kubelet_certificate_authority: Option<Scalar>,
    kubelet_client_certificate: Option<Scalar>,
    kubelet_client_key: Option<Scalar>,
    service_cluster_ip_range: Option<Scalar>,
    service_node_port_range: Option<Scalar>,
    enable_priority_and_fairness: Option<Scalar>,
    request_timeout: Option<Scalar>,
    max_requests_inflight: Option<Scalar>,
    max_mutating_requests_inflight: Option<Scalar>,
}

impl Kind for ApiServerConfiguration {
    const KIND: &'static str = "ApiServerConfiguration";
}

impl Flags for ApiServerConfiguration {
    fn flags(self) -> Vec<(&'static str, Option<Scalar>)> {
        vec![
            ("storage", self.storage),
            ("etcd-servers", self.etcd_servers),
            ("etcd-cafile", self.etcd_cafile),
            ("etcd-certfile", self.etcd_certfile),
            ("etcd-keyfile", self.etcd_keyfile),
            ("etcd-prefix", self.etcd_prefix),
            ("event-ttl", self.event_ttl),
            ("default-not-ready-toleration-seconds", self.default_not_ready_toleration_seconds),
            ("default-unreachable-toleration-seconds", self.default_unreachable_toleration_seconds),
            ("bind-address", self.bind_address),
            ("secure-port", self.secure_port),
            ("advertise-address", self.advertise_address),
            ("requestheader-client-ca-file", self.requestheader_client_ca_file),
            ("requestheader-allowed-names", self.requestheader_allowed_names),
            ("requestheader-username-headers", self.requestheader_username_headers),
            ("requestheader-uid-headers", self.requestheader_uid_headers),
            ("requestheader-group-headers", self.requestheader_group_headers),
            ("requestheader-extra-headers-prefix", self.requestheader_extra_headers_prefix),
            ("proxy-client-cert-file", self.proxy_client_cert_file),
            ("proxy-client-key-file", self.proxy_client_key_file),
            ("service-account-signing-key-file", self.service_account_signing_key_file),
            ("service-account-key-file", self.service_account_key_file),
            ("service-account-issuer", self.service_account_issuer),
            ("api-audiences", self.api_audiences),
            ("service-account-max-token-expiration", self.service_account_max_token_expiration),
            ("service-account-jwks-uri", self.service_account_jwks_uri),
            ("token-auth-file", self.token_auth_file),
            ("enable-bootstrap-token-auth", self.enable_bootstrap_token_auth),
            ("enable-admission-plugins", self.enable_admission_plugins),
            ("disable-admission-plugins", self.disable_admission_plugins),
            ("kubelet-certificate-authority", self.kubelet_certificate_authority),
            ("kubelet-client-certificate", self.kubelet_client_certificate),
            ("kubelet-client-key", self.kubelet_client_key),
            ("service-cluster-ip-range", self.service_cluster_ip_range),
            ("service-node-port-range", self.service_node_port_range),
            ("enable-priority-and-fairness", self.enable_priority_and_fairness),
            ("request-timeout", self.request_timeout),
            ("max-requests-inflight", self.max_requests_inflight),
            ("max-mutating-requests-inflight", self.max_mutating_requests_inflight),
        ]
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use gantry_telemetry::config::{Flags, parse};

    use super::ApiServerConfiguration;
    use crate::options::Options;

    #[test]
    fn every_flag_has_a_key_and_every_key_a_flag() {
        let text = "apiVersion: gantry.dev/v1alpha1\nkind: ApiServerConfiguration\n";
        let read = parse::<ApiServerConfiguration>(text).unwrap().flags();
        let keys: Vec<&str> = read.iter().map(|(flag, _)| *flag).collect();
        let command = Options::command();
        let others = ["log-level", "log-format", "health-address", "config", "help", "version"];
        let flags: Vec<&str> = command
            .get_arguments()
            .filter(|argument| !argument.is_required_set())
            .filter_map(|argument| argument.get_long())
            .filter(|flag| !others.contains(flag))
            .collect();
        assert_eq!(keys, flags);
    }

    #[test]
    fn a_file_sets_what_the_command_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.yaml");
        let text = "apiVersion: gantry.dev/v1alpha1\nkind: ApiServerConfiguration\nstorage: memory\n\
                    securePort: 7443\nbindAddress: 127.0.0.1,10.0.0.1\neventTtl: 2h\n";
        std::fs::write(&path, text).unwrap();
        let file = format!("--config={}", path.display());
        let flags = ["server", "--tls-cert-file=c", "--tls-private-key-file=k", "--client-ca-file=a"];
        let arguments = flags.into_iter().chain(["--secure-port=8443", &file]);
        let options = Options::load(arguments.map(Into::into)).unwrap();
        assert_eq!((options.secure_port, options.event_ttl.as_secs()), (8443, 7200));
        assert_eq!(options.addresses().len(), 2);
        assert_eq!(options.storage, crate::options::Storage::Memory);
    }
}
