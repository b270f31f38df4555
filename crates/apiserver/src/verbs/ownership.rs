//! Who owns the fields that a write changes.

use gantry_api::apply::{self, Conflict, Refusal, Writer};
use gantry_api::meta::v1::{ManagedFieldsEntry, StatusCause, StatusDetails};
use gantry_api::scalars::Time;
use gantry_api::{Kind, Object, Subresource};

use super::versions;
use crate::authorization::Requester;
use crate::status::{ApiError, Reason};

/// How an object comes to say who owns its fields.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ownership<'a> {
    /// The writer takes what it changes, by the names of the version that it writes.
    TakenBy(&'a Writer, &'static Kind),
    /// The object says it already.
    Settled,
}

/// Who writes with the options of a request.
pub(super) fn writer(manager: &str, subresource: Option<Subresource>) -> Writer {
    Writer {
        manager: manager.to_owned(),
        subresource: subresource.map_or("", Subresource::name),
        time: Time::now(),
    }
}

impl Ownership<'_> {
    /// Writes it into a new object that has its defaults.
    pub(super) fn settle(self, old: Option<&dyn Object>, new: &mut dyn Object) -> Result<(), ApiError> {
        let Self::TakenBy(writer, written) = self else { return Ok(()) };
        if new.kind() == written {
            apply::record(old, new, writer);
            return Ok(());
        }
        let before = old.map(|old| versions::converted(old, written)).transpose()?;
        let mut after = versions::converted(new, written)?;
        apply::record(before.as_deref(), &mut *after, writer);
        new.meta_mut().managed_fields = std::mem::take(&mut after.meta_mut().managed_fields);
        Ok(())
    }
}

/// A write that changes nothing but when its fields were written is no write: the times stay, too.
pub(super) fn keep_times(new: &mut dyn Object, old: &dyn Object) {
    let before = &old.meta().managed_fields;
    let now = &new.meta().managed_fields;
    if now == before || !apply::same_but_times(now, before) {
        return;
    }
    let now = std::mem::replace(&mut new.meta_mut().managed_fields, before.clone());
    let revision =
        std::mem::replace(&mut new.meta_mut().resource_version, old.meta().resource_version.clone());
    let same = new.equals(old);
    new.meta_mut().resource_version = revision;
    if !same {
        new.meta_mut().managed_fields = now;
    }
}

/// Keeps an object's owners as they were before webhooks, where what these made of them is not to be read. What else
/// webhooks change is nobody's.
pub(super) fn keep_readable(new: &mut dyn Object, before: Vec<ManagedFieldsEntry>) {
    if new.meta().managed_fields == before {
        return;
    }
    let Err(why) = apply::check_owners(&new.meta().managed_fields) else { return };
    new.meta_mut().managed_fields = before;
    if let Some(requester) = Requester::current() {
        requester.warn([format!(
            ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated \
             mutating admission controller; please fix your requests: {why}"
        )]);
    }
}

/// Why a configuration was not applied, as clients get it.
pub(super) fn refused(refusal: Refusal) -> ApiError {
    let message = refusal.to_string();
    match refusal {
        Refusal::BadRequest(_) => ApiError::bad_request(message),
        Refusal::Failed(_) => ApiError::without_reason(message),
        Refusal::Conflicts(conflicts) => {
            let details =
                StatusDetails { causes: conflicts.iter().map(cause).collect(), ..StatusDetails::default() };
            ApiError::new(Reason::Conflict, message).with_details(details)
        }
    }
}

fn cause(conflict: &Conflict) -> StatusCause {
    StatusCause {
        reason: "FieldManagerConflict".to_owned(),
        message: format!("conflict with {}", conflict.owner),
        field: conflict.path.to_string(),
    }
}
