//! How a command ended, as the error channel tells it.

use gantry_api::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use crate::status::ApiError;

/// The reason of a Status for a command that ended with another code than zero.
const NON_ZERO: &str = "NonZeroExitCode";
/// The reason of the cause that carries the code.
const EXIT_CODE: &str = "ExitCode";

/// The end of what ended well.
pub(super) fn succeeded() -> Status {
    Status { metadata: Some(ListMeta::default()), status: "Success".to_owned(), ..Status::default() }
}

/// The end of a command with this exit code.
pub(super) fn exited(command: &[String], code: i32) -> Status {
    if code == 0 {
        return succeeded();
    }
    let cause =
        StatusCause { reason: EXIT_CODE.to_owned(), message: code.to_string(), ..StatusCause::default() };
    Status {
        metadata: Some(ListMeta::default()),
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

/// The end of what the node failed to do.
pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> Status {
    ApiError::internal(format_args!("error {what} container: {error}")).status().clone()
}

/// The message for the error channel: a Status, or in the older protocols nothing of a success and the text of a
/// failure.
pub(super) fn message(as_status: bool, status: &Status) -> Option<Vec<u8>> {
    if as_status {
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
        serde_json::from_slice(&message(true, status).unwrap()).unwrap()
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
        assert_eq!(json_of(&failed("attaching to", "gone"))["code"], 500);
    }

    #[test]
    fn older_protocols_tell_failures_as_text() {
        assert_eq!(message(false, &exited(&[], 0)), None);
        assert!(message(false, &exited(&[], 3)).unwrap().ends_with(b"exit code 3"));
    }
}
