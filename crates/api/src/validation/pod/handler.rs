//! Probes and lifecycle hooks: what is done to a container, and that it is exactly one thing.

use super::container::port_number;
use crate::core::v1::{
    ExecAction, GrpcAction, HttpGetAction, Lifecycle, Probe, SleepAction, TcpSocketAction,
};
use crate::field::{Error, ErrorList, Path};
use crate::scalars::IntOrString;
use crate::validation::common::{check, enumerated, non_negative, positive, required};
use crate::validation::names;

pub(super) fn probe(errors: &mut ErrorList, probe: Option<&Probe>, path: &Path) {
    let Some(probe) = probe else { return };
    let found = probe.handler.as_ref();
    let actions = Actions {
        exec: found.and_then(|handler| handler.exec.as_ref()),
        http_get: found.and_then(|handler| handler.http_get.as_ref()),
        tcp_socket: found.and_then(|handler| handler.tcp_socket.as_ref()),
        grpc: found.and_then(|handler| handler.grpc.as_ref()),
        sleep: None,
    };
    actions.validate(errors, None, path);
    let counts = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (field, count) in counts {
        non_negative(errors, &path.child(field), count);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds {
        positive(errors, &path.child("terminationGracePeriodSeconds"), seconds);
    }
}

pub(super) fn lifecycle(
    errors: &mut ErrorList,
    lifecycle: Option<&Lifecycle>,
    grace: Option<i64>,
    path: &Path,
) {
    let Some(lifecycle) = lifecycle else { return };
    for (field, found) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        let Some(found) = found else { continue };
        let actions = Actions {
            exec: found.exec.as_ref(),
            http_get: found.http_get.as_ref(),
            tcp_socket: found.tcp_socket.as_ref(),
            grpc: None,
            sleep: found.sleep.as_ref(),
        };
        actions.validate(errors, grace, &path.child(field));
    }
}

/// All that a handler can be; exactly one must be there.
struct Actions<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HttpGetAction>,
    tcp_socket: Option<&'a TcpSocketAction>,
    grpc: Option<&'a GrpcAction>,
    sleep: Option<&'a SleepAction>,
}

impl Actions<'_> {
    fn validate(&self, errors: &mut ErrorList, grace: Option<i64>, path: &Path) {
        let mut first = true;
        // The first handler is looked at in detail; each further one is one too many.
        let mut is_first = |errors: &mut ErrorList, path: &Path| {
            let was_first = std::mem::replace(&mut first, false);
            if !was_first {
                errors.push(Error::forbidden(path.clone(), "may not specify more than 1 handler type"));
            }
            was_first
        };
        if let Some(action) = self.exec {
            let path = path.child("exec");
            if is_first(errors, &path) && action.command.is_empty() {
                errors.push(Error::required(path.child("command"), ""));
            }
        }
        if let Some(action) = self.http_get {
            let path = path.child("httpGet");
            if is_first(errors, &path) {
                http_get(errors, action, &path);
            }
        }
        if let Some(action) = self.tcp_socket {
            let path = path.child("tcpSocket");
            if is_first(errors, &path) {
                port(errors, action.port.as_ref(), &path.child("port"));
            }
        }
        if let Some(action) = self.grpc {
            let path = path.child("grpc");
            if is_first(errors, &path) {
                port_number(errors, action.port, &path.child("port"));
            }
        }
        if let Some(action) = self.sleep {
            let path = path.child("sleep");
            if is_first(errors, &path) {
                sleep(errors, action, grace, &path);
            }
        }
        if first {
            errors.push(Error::required(path.clone(), "must specify a handler type"));
        }
    }
}

fn sleep(errors: &mut ErrorList, action: &SleepAction, grace: Option<i64>, path: &Path) {
    if action.seconds < 0 || grace.is_some_and(|grace| action.seconds > grace) {
        let detail = format!(
            "must be non-negative and less than terminationGracePeriodSeconds ({})",
            grace.unwrap_or_default()
        );
        errors.push(Error::invalid(path.clone(), action.seconds, detail));
    }
}

fn http_get(errors: &mut ErrorList, action: &HttpGetAction, path: &Path) {
    required(errors, &path.child("path"), &action.path);
    port(errors, action.port.as_ref(), &path.child("port"));
    enumerated(errors, &path.child("scheme"), &action.scheme, "core.v1.HTTPGetAction.scheme");
    for (i, header) in action.http_headers.iter().enumerate() {
        let path = path.child("httpHeaders").index(i).child("name");
        check(errors, &path, &header.name, names::http_header(&header.name));
    }
}

/// A port by number or by name.
pub(crate) fn port(errors: &mut ErrorList, port: Option<&IntOrString>, path: &Path) {
    match port.map(|port| (port.as_int(), port.as_str())) {
        Some((_, Some(name))) => check(errors, path, name, names::port_name(name)),
        Some((Some(number), None)) => port_number(errors, number, path),
        _ => port_number(errors, 0, path),
    }
}
