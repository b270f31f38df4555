//! One question to one webhook.

use std::time::Instant;

use super::relevant::Invocation;
use super::review::{self, Verdict};
use crate::admission::asked::Asked;
use crate::admission::selection::Objects;
use crate::authorization::Requester;
use crate::metrics;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// Why a webhook did not let a request through.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be asked, or made no sense.
    Calling(String),
    /// It says no, or the request may not be answered at all.
    Refused(ApiError),
}

impl Verbs {
    /// Asks a webhook. Its warnings go to the client.
    pub(super) async fn ask(
        &self,
        invocation: &Invocation,
        asked: &Asked,
        objects: Objects<'_>,
    ) -> Result<Verdict, Failure> {
        let hook = &*invocation.hook;
        let begun = Instant::now();
        let outcome = self.ask_once(invocation, asked, objects).await;
        let rejected = match &outcome {
            Ok(_) => None,
            Err(Failure::Refused(error)) => Some(("no_error", error.status().code)),
            Err(Failure::Calling(_)) if hook.ignores_failure => None,
            Err(Failure::Calling(_)) => Some(("calling_webhook_error", 0)),
        };
        let failed_open = hook.ignores_failure && matches!(outcome, Err(Failure::Calling(_)));
        metrics::webhook(&metrics::WebhookCall {
            name: &hook.name,
            r#type: hook.r#type(),
            operation: asked.operation.name(),
            rejected,
            failed_open,
            elapsed: begun.elapsed(),
        });
        outcome
    }

    async fn ask_once(
        &self,
        invocation: &Invocation,
        asked: &Asked,
        objects: Objects<'_>,
    ) -> Result<Verdict, Failure> {
        let hook = &*invocation.hook;
        if asked.dry_run && !hook.dry_runs {
            let text = format!("admission webhook {:?} does not support dry run", hook.name);
            return Err(Failure::Refused(ApiError::bad_request(text)));
        }
        let calling =
            |why: String| Failure::Calling(format!("failed calling webhook {:?}: {why}", hook.name));
        let no_client = |why: &String| calling(format!("could not get REST client: {why}"));
        let version = hook.version.ok_or_else(|| {
            calling("webhook does not accept known AdmissionReview versions (v1, v1beta1)".to_owned())
        })?;
        let endpoint = hook.endpoint.as_ref().map_err(no_client)?;
        let uid = uuid::Uuid::new_v4().to_string();
        let question = review::question(invocation, version, asked, &uid, objects);
        let body = serde_json::to_vec(&question).map_err(|error| calling(error.to_string()))?;
        let answer = self.webhook_client().call(self, endpoint, body, hook.timeout).await;
        let answer = answer.map_err(|why| calling(format!("failed to call webhook: {why}")))?;
        let mut verdict = review::verdict(hook, version, &uid, &answer).map_err(calling)?;
        if let Some(requester) = Requester::current() {
            requester.warn(std::mem::take(&mut verdict.warnings));
        }
        match verdict.refusal.take() {
            Some(refusal) => Err(Failure::Refused(refusal)),
            None => Ok(verdict),
        }
    }
}
