//! Conversions between the two groups that serve events: the same objects under other field names.

use crate::core::v1 as core;
use crate::events::v1 as events;

impl From<core::Event> for events::Event {
    fn from(event: core::Event) -> Self {
        Self {
            metadata: event.metadata,
            event_time: event.event_time,
            series: event.series.map(|series| events::EventSeries {
                count: series.count,
                last_observed_time: series.last_observed_time,
            }),
            reporting_controller: event.reporting_component,
            reporting_instance: event.reporting_instance,
            action: event.action,
            reason: event.reason,
            regarding: event.involved_object,
            related: event.related,
            note: event.message,
            r#type: event.r#type,
            deprecated_source: event.source,
            deprecated_first_timestamp: event.first_timestamp,
            deprecated_last_timestamp: event.last_timestamp,
            deprecated_count: (event.count != 0).then_some(event.count),
        }
    }
}

impl From<events::Event> for core::Event {
    fn from(event: events::Event) -> Self {
        Self {
            metadata: event.metadata,
            involved_object: event.regarding,
            reason: event.reason,
            message: event.note,
            source: event.deprecated_source,
            first_timestamp: event.deprecated_first_timestamp,
            last_timestamp: event.deprecated_last_timestamp,
            count: event.deprecated_count.unwrap_or_default(),
            r#type: event.r#type,
            event_time: event.event_time,
            series: event.series.map(|series| core::EventSeries {
                count: series.count,
                last_observed_time: series.last_observed_time,
            }),
            action: event.action,
            related: event.related,
            reporting_component: event.reporting_controller,
            reporting_instance: event.reporting_instance,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way() {
        let event: core::Event = serde_json::from_value(json!({
            "metadata": {"name": "a"}, "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "r", "message": "m",
            "source": {"component": "c"}, "firstTimestamp": "2020-01-01T00:00:00Z",
            "lastTimestamp": "2020-01-01T00:00:01Z", "count": 3, "type": "Normal",
            "eventTime": "2020-01-01T00:00:00.000001Z",
            "series": {"count": 2, "lastObservedTime": "2020-01-01T00:00:02.000000Z"}, "action": "x",
            "related": {"name": "q"}, "reportingComponent": "rc", "reportingInstance": "ri"
        }))
        .unwrap();
        let there = events::Event::from(event.clone());
        assert_eq!((there.note.as_str(), there.deprecated_count), ("m", Some(3)));
        assert_eq!(core::Event::from(there), event);
    }
}
