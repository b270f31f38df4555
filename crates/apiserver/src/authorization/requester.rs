//! Who asks, and what they may.

use std::sync::Arc;

use gantry_api::selector::FieldSelector;
use parking_lot::Mutex;

use super::{Attributes, Authorizer};
use crate::pipeline::User;
use crate::status::ApiError;
use crate::tokens::Authenticator;

/// How many warnings an answer has at most.
const MAX_WARNINGS: usize = 100;

tokio::task_local! {
    static CURRENT: Requester;
}

/// Who asks, together with who decides what they may.
#[derive(Clone)]
pub(crate) struct Requester {
    user: Arc<User>,
    authorizer: Arc<Authorizer>,
    authenticator: Arc<Authenticator>,
    /// What the answer warns of, beside what it says.
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Requester {
    pub(crate) fn new(
        user: Arc<User>,
        authorizer: Arc<Authorizer>,
        authenticator: Arc<Authenticator>,
    ) -> Self {
        Self { user, authorizer, authenticator, warnings: Arc::default() }
    }

    /// Who asks.
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Who decides.
    pub(crate) fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// Who tells whose tokens are.
    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Warns whoever asks, with the answer.
    pub(crate) fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        let mut all = self.warnings.lock();
        for warning in warnings {
            if all.len() < MAX_WARNINGS && !all.contains(&warning) {
                all.push(warning);
            }
        }
    }

    /// What there is to warn of.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock())
    }

    /// The same request in the name of somebody else.
    pub(crate) fn become_user(self, user: Arc<User>) -> Self {
        Self { user, ..self }
    }

    /// Does something in the name of who asks: admission sees them in [`Requester::current`].
    pub(crate) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    /// Who asks for what is done here; nobody where the server does it of its own accord.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

/// Whether who asks may do this; the error is the answer if not.
pub(crate) fn authorize(requester: &Requester, attributes: &Attributes<'_>) -> Result<(), ApiError> {
    authorize_selected(requester, attributes, None)
}

/// Whether who asks may do this to what `fields` select.
pub(crate) fn authorize_selected(
    requester: &Requester,
    attributes: &Attributes<'_>,
    fields: Option<&FieldSelector>,
) -> Result<(), ApiError> {
    requester.authorizer.authorize(&requester.user, attributes, fields)
}
