//! What a write takes before it happens: addresses and ports of Services, and parts of quotas.

use gantry_api::Object;

use super::quota::Charged;
use super::services::Reserved;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// What a write took; it is settled once the write is done.
#[derive(Debug)]
#[must_use = "what is taken must be settled"]
pub(crate) struct Taken {
    reserved: Reserved,
    charged: Charged,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is stored.
    Yes,
    /// It is not.
    No,
    /// Nobody knows.
    Perhaps,
}

impl Verbs {
    /// Takes what `new` needs more than `old` has, and writes it into the object. In a dry run nothing is taken.
    pub(crate) async fn take(
        &self,
        new: &mut dyn Object,
        old: Option<&dyn Object>,
        dry_run: bool,
    ) -> Result<Taken, ApiError> {
        let reserved = self.reserve(new, old, dry_run).await?;
        match self.charge(new, old, dry_run).await {
            Ok(charged) => Ok(Taken { reserved, charged }),
            Err(error) => {
                self.settle_reserved(reserved, Written::No).await;
                Err(error)
            }
        }
    }

    /// Ends a write: what it does not need goes back. Of a write that may yet have happened nothing does; reservations
    /// are repaired and quotas counted again from time to time.
    pub(crate) async fn settle(&self, taken: Taken, written: Written) {
        self.settle_reserved(taken.reserved, written).await;
        if written == Written::No {
            self.refund(taken.charged).await;
        }
    }
}
