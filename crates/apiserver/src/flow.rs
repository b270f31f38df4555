//! Priority and fairness: which requests run now, which wait, and which are sent away.
//!
//! A request is of the first flow schema that fits it ([`classify`]), and of that schema's priority level. Each level has
//! seats by its shares of the server's concurrency, lends what it does not need and borrows ([`shares`]). What finds no
//! seat waits in one of its level's fair queues ([`fair`]), dealt by its flow ([`shuffle`]). All of this is decided
//! without clock and I/O; [`level`] adds both. [`config`] makes levels and schemas of the objects, [`follow`] keeps them
//! so, and [`maintain`] makes the objects that every cluster has.

mod asked;
mod classify;
mod config;
mod defaults;
mod dropped;
mod dump;
mod fair;
mod follow;
mod level;
mod maintain;
mod metrics;
mod shares;
mod shuffle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use parking_lot::RwLock;

pub(crate) use self::asked::{Asked, Reach, Resource};
use self::config::{Config, Schema};
pub(crate) use self::dump::Dump;
use self::level::Details;
pub(crate) use self::level::{Refused, Seat};
use crate::authorization::Attributes;
use crate::pipeline::User;
use crate::verbs::Verbs;

/// Bytes of a list that a seat is for.
const BYTES_PER_SEAT: u64 = 100_000;
/// The bytes of a list that are held at once: the rest is written piece by piece.
const BYTES_AT_ONCE: u64 = 1_000_000;

/// The server's requests, by level.
pub(crate) struct Flow {
    verbs: Arc<Verbs>,
    config: RwLock<Arc<Config>>,
    /// The seats of all levels together.
    total: u32,
    /// Whether the objects that every cluster has are there.
    settled: AtomicBool,
    /// Whether the objects are what is followed.
    followed: AtomicBool,
}

/// What a request was found to be.
pub(crate) struct Classified {
    schema: Arc<Schema>,
    flow: u64,
    seats: u32,
}

impl Classified {
    /// The identities of the schema and of the level, where they are objects.
    pub(crate) fn identities(&self) -> [Option<&HeaderValue>; 2] {
        [self.schema.uid.as_ref(), self.schema.level_uid.as_ref()]
    }
}

impl Flow {
    pub(crate) fn new(verbs: Arc<Verbs>, total: u32) -> Arc<Self> {
        let config = Config::new(total, &defaults::levels(), &defaults::schemas(), &Config::default());
        Arc::new(Self {
            verbs,
            config: RwLock::new(Arc::new(config)),
            total,
            settled: AtomicBool::new(false),
            followed: AtomicBool::new(false),
        })
    }

    /// Whether the objects that every cluster has have been seen to be there.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether requests are treated as the objects say.
    pub(crate) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Acquire)
    }

    fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    /// What a request is: its schema, its flow, and how many seats it takes.
    pub(crate) fn classify(&self, user: &User, asked: &Asked) -> Classified {
        let attributes = asked.attributes();
        let schema = self.config.read().schema(user, &attributes);
        let name = schema.distinguisher.name(user, &attributes);
        let flow = shuffle::hash(&schema.name, name);
        let seats = self.seats(asked.reach(), &attributes, schema.widest);
        Classified { schema, flow, seats }
    }

    /// Gets its seats, within `limit`.
    pub(crate) async fn enter(
        &self,
        classified: &Classified,
        user: &User,
        asked: &Asked,
        limit: Duration,
    ) -> Result<Seat, Refused> {
        let Classified { schema, flow, seats } = classified;
        let details = || details(schema, user, asked);
        schema.level.enter(&schema.metrics, (*flow, *seats), limit, details).await
    }

    /// How many seats a request takes: many for what reads many objects.
    fn seats(&self, reach: Option<&Reach>, asked: &Attributes<'_>, widest: u32) -> u32 {
        let (Some(reach), &Attributes::Resource { group, resource, .. }) = (reach, asked) else { return 1 };
        let catalog = self.verbs.catalog();
        let kind = catalog.kinds().iter().find(|kind| kind.plural == resource && kind.group == group);
        let Some(cache) = kind.and_then(|kind| self.verbs.cache(kind).ok()) else { return 1 };
        let (count, bytes) = cache.size();
        width(reach, count as u64, bytes as u64).clamp(1, widest)
    }
}

/// How many seats it takes to read as much of so many objects.
fn width(reach: &Reach, count: u64, bytes: u64) -> u32 {
    let average = bytes.checked_div(count).unwrap_or(0);
    let objects = match *reach {
        Reach::One => 1.min(count),
        Reach::UpTo(0) => count,
        Reach::UpTo(limit) => count.min(limit),
    };
    let held = objects.saturating_mul(average).min(BYTES_AT_ONCE);
    // At most ten, so it fits.
    held.div_ceil(BYTES_PER_SEAT).max(1) as u32
}

fn details(schema: &Schema, user: &User, asked: &Asked) -> Details {
    let attributes = asked.attributes();
    let flow = schema.distinguisher.name(user, &attributes).to_owned();
    let (verb, path) = (asked.verb().to_owned(), asked.path().to_owned());
    let (namespace, name, resource, subresource) = match attributes {
        Attributes::Resource { namespace, name, resource, subresource, .. } => {
            (namespace, name, resource, subresource)
        }
        Attributes::Path { .. } => ("", "", "", ""),
    };
    Details {
        schema: schema.name.clone(),
        flow,
        user: user.name.clone(),
        verb,
        path,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        arrived: jiff::Timestamp::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_much_takes_more_seats() {
        assert_eq!(width(&Reach::UpTo(0), 0, 0), 1);
        assert_eq!(width(&Reach::UpTo(0), 100, 100_000), 1);
        assert_eq!(width(&Reach::UpTo(0), 1000, 250_000), 3);
        assert_eq!(width(&Reach::UpTo(0), 1_000_000, 1_000_000_000), 10);
        assert_eq!(width(&Reach::UpTo(500), 1_000_000, 1_000_000_000), 5);
        assert_eq!(width(&Reach::One, 1_000_000, 1_000_000_000), 1);
    }
}
