//! How a command ended, as the error channel tells it.

use gantry_api::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use super::channels::Protocol;
use crate::status::ApiError;

/// The reason of a Status for a command that ended with another code than zero.
const NON_ZERO: &str = "NonZeroExitCode";
/// The reason of the cause that carries the code.
const EXIT_CODE: &str = "ExitCode";

/// The end of a command with this exit code.
pub(super) fn exited(command: &[String], code: i32) -> Status {
    let metadata = Some(ListMeta::default());
    if code == 0 {
        return Status { metadata, status: "Success".to_owned(), ..Status::default() };
    }
    let cause =
        StatusCause { reason: EXIT_CODE.to_owned(), message: code.to_string(), ..StatusCause::default() };
    Status {
        metadata,
        status: "Failure".to_owned(),
        message: format!(
            "command terminated with non-zero exit code: error executing command [{}], exit code {code}",
            command.join(" ")
        ),
        reason: NON_ZERO.to_owned(),
        details: Some(StatusDetails { causes: vec![cause], ..StatusDetails::default() }),
        ..Status::default()
    }
}

/// The end of a command whose node failed.
pub(super) fn failed(error: impl std::fmt::Display) -> Status {
    ApiError::internal(format_args!("error executing command in container: {error}")).status().clone()
}

/// The message for the error channel; the older protocols tell nothing of a success and the text of a failure.
pub(super) fn message(protocol: &Protocol, status: &Status) -> Option<Vec<u8>> {
    if protocol.status {
        // A Status holds nothing that JSON cannot.
        return serde_json::to_vec(status).ok();
    }
    (status.status != "Success").then(|| status.message.clone().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json_of(status: &Status) -> Value {
        let protocol = Protocol::negotiate(["v4.channel.k8s.io"]).unwrap();
        serde_json::from_slice(&message(protocol, status).unwrap()).unwrap()
    }

    #[test]
    fn an_exit_code_is_a_cause() {
        assert_eq!(json_of(&exited(&[], 0)), json!({"metadata": {}, "status": "Success"}));
        let command = ["sh".to_owned(), "-c".to_owned()];
        assert_eq!(
            json_of(&exited(&command, 7)),
            json!({
                "metadata": {},
                "status": "Failure",
                "message": "command terminated with non-zero exit code: error executing command [sh -c], exit code 7",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
            })
        );
        assert_eq!(json_of(&failed("gone"))["code"], 500);
    }

    #[test]
    fn older_protocols_tell_failures_as_text() {
        let old = Protocol::negotiate(["channel.k8s.io"]).unwrap();
        assert_eq!(message(old, &exited(&[], 0)), None);
        assert!(message(old, &exited(&[], 3)).unwrap().ends_with(b"exit code 3"));
    }
}
