//! Kinds that are the same objects in other words: the versions of a group, and the two groups that serve events.
//!
//! Of each such set one kind is the one that is stored. Every other kind converts to it and back, and so each to each.

mod autoscaler;
mod events;

pub(crate) use autoscaler::default_metrics;

use std::sync::LazyLock;

use crate::strategy::Strategy;
use crate::{Kind, Object, autoscaling, core};

type Conversion = fn(&dyn Object) -> Option<Box<dyn Object>>;

/// A kind that is stored as another one.
struct Pair {
    served: &'static Kind,
    stored: &'static Kind,
    forth: Conversion,
    back: Conversion,
}

static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| {
    [
        pair::<crate::events::v1::Event, core::v1::Event>(),
        pair::<autoscaling::v1::HorizontalPodAutoscaler, autoscaling::v2::HorizontalPodAutoscaler>(),
    ]
});

fn pair<Served, Stored>() -> Pair
where
    Served: Strategy + From<Stored>,
    Stored: Strategy + From<Served>,
{
    Pair {
        served: Served::kind(),
        stored: Stored::kind(),
        forth: convert_to::<Served, Stored>,
        back: convert_to::<Stored, Served>,
    }
}

fn convert_to<From: Strategy, To: Strategy + std::convert::From<From>>(
    object: &dyn Object,
) -> Option<Box<dyn Object>> {
    let object: &From = object.downcast_ref()?;
    Some(Box::new(To::from(object.clone())))
}

/// The kind that objects of `kind` are stored as.
#[must_use]
pub fn stored_kind(kind: &'static Kind) -> &'static Kind {
    PAIRS.iter().find(|pair| pair.served == kind).map_or(kind, |pair| pair.stored)
}

/// The kind whose rules hold for objects of `kind`. The versions of a group have the rules of the stored one, while
/// kinds of different groups have their own.
#[must_use]
pub fn ruling_kind(kind: &'static Kind) -> &'static Kind {
    let stored = stored_kind(kind);
    if stored.group == kind.group { stored } else { kind }
}

/// The object as one of another kind; `None` where the kinds are not the same objects.
#[must_use]
pub fn convert(object: &dyn Object, to: &'static Kind) -> Option<Box<dyn Object>> {
    let from = object.kind();
    if from == to {
        return Some(object.clone_object());
    }
    let to_stored = PAIRS.iter().find(|pair| pair.served == from);
    let from_stored = PAIRS.iter().find(|pair| pair.served == to);
    let stored = match to_stored {
        Some(pair) => (pair.forth)(object)?,
        None => object.clone_object(),
    };
    match from_stored {
        Some(pair) => (pair.back)(&*stored),
        None => Some(stored).filter(|stored| stored.kind() == to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use crate::core::v1::{Event, Pod};

    fn kind<T: Resource>() -> &'static Kind {
        T::kind()
    }

    #[test]
    fn kinds_convert_to_what_they_are_too() {
        let (old, new) = (kind::<Event>(), kind::<crate::events::v1::Event>());
        assert_eq!((stored_kind(new), stored_kind(old)), (old, old));
        assert_eq!((ruling_kind(new), ruling_kind(old)), (new, old));
        assert_eq!(convert(&Event::default(), new).unwrap().kind(), new);
        assert_eq!(convert(&Event::default(), old).unwrap().kind(), old);
        assert!(convert(&Event::default(), kind::<Pod>()).is_none());
        assert!(convert(&Pod::default(), new).is_none());
        let (v1, v2) = (
            kind::<autoscaling::v1::HorizontalPodAutoscaler>(),
            kind::<autoscaling::v2::HorizontalPodAutoscaler>(),
        );
        assert_eq!((stored_kind(v1), ruling_kind(v1), ruling_kind(v2)), (v2, v2, v2));
    }

    #[test]
    fn what_is_stored_is_stored_as_itself() {
        for pair in PAIRS.iter() {
            assert_eq!(stored_kind(pair.stored), pair.stored, "{:?}", pair.stored);
            assert_eq!(pair.served.scope, pair.stored.scope, "{:?}", pair.served);
        }
    }
}
