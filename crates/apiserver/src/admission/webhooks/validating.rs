//! Webhooks that say yes or no, all at once.

use futures::future::join_all;
use gantry_api::Object;
use serde::Serialize;
use serde_json::Value;

use super::call::Failure;
use super::relevant::{Invocation, meets};
use crate::admission::asked::Asked;
use crate::admission::selection::Objects;
use crate::status::ApiError;
use crate::verbs::Verbs;

impl Verbs {
    /// Asks webhooks about the objects of a request.
    pub(crate) async fn ask_webhooks(
        &self,
        asked: &Asked,
        new: Option<&dyn Object>,
        old: Option<&dyn Object>,
    ) -> Result<(), ApiError> {
        let found = self.validating_for(asked);
        if found.is_empty() {
            return Ok(());
        }
        let json =
            |object: Option<&dyn Object>| object.map(|object| asked.render(object, asked.kind)).transpose();
        self.ask_all(asked, &found, json(new)?, json(old)?).await
    }

    /// The same about what is sent in a shape of its own.
    pub(crate) async fn ask_webhooks_about<T: Serialize>(
        &self,
        asked: &Asked,
        new: &T,
        old: Option<&T>,
    ) -> Result<(), ApiError> {
        let found = self.validating_for(asked);
        if found.is_empty() {
            return Ok(());
        }
        let new = asked.render_message(new)?;
        let old = old.map(|old| asked.render_message(old)).transpose()?;
        self.ask_all(asked, &found, Some(new), old).await
    }

    async fn ask_all(
        &self,
        asked: &Asked,
        found: &[Invocation],
        new: Option<Value>,
        old: Option<Value>,
    ) -> Result<(), ApiError> {
        let mut relevant = Vec::new();
        for invocation in found {
            let selected = Objects { new: new.as_ref(), old: old.as_ref() };
            if !self.selects(&invocation.hook, asked, selected).await? {
                continue;
            }
            let new = self.recast_any(asked, new.as_ref(), invocation.kind).await?;
            let old = self.recast_any(asked, old.as_ref(), invocation.kind).await?;
            if meets(invocation, asked, Objects { new: new.as_ref(), old: old.as_ref() })? {
                relevant.push((invocation, new, old));
            }
        }
        let answers = relevant.iter().map(|(invocation, new, old)| async move {
            let objects = Objects { new: new.as_ref(), old: old.as_ref() };
            match self.ask(invocation, asked, objects).await {
                Ok(_) => Ok(()),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Calling(why)) if invocation.hook.ignores_failure => {
                    let webhook = &invocation.hook.name;
                    tracing::warn!(webhook, why, "failed calling webhook, failing open");
                    Ok(())
                }
                Err(Failure::Calling(why)) => Err(ApiError::internal(why)),
            }
        });
        join_all(answers).await.into_iter().collect()
    }
}
