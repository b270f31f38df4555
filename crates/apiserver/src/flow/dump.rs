//! What is under way, for people: tables as upstream's `/debug/api_priority_and_fairness/` has them.

use std::fmt::Write as _;

use super::Flow;
use super::config::Configured;
use super::level::Details;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dump {
    /// A line for each level.
    Levels,
    /// A line for each queue that has something to do.
    Queues,
    /// A line for each request that waits; with more columns, if asked for.
    Requests {
        /// Whether to say what it is about.
        details: bool,
    },
}

impl Flow {
    /// A table of what is under way.
    pub(crate) fn dump(&self, what: Dump) -> String {
        let config = self.config();
        let mut rows = vec![header(what)];
        for (name, Configured { level, .. }) in &config.levels {
            level.look(|state| match what {
                Dump::Levels => {
                    let (fair, counts) = (&state.fair, &state.counts);
                    let idle = fair.executing == 0 && fair.waiting == 0;
                    rows.push(vec![
                        name.clone(),
                        fair.active.to_string(),
                        idle.to_string(),
                        "false".to_owned(),
                        fair.waiting.to_string(),
                        fair.executing.to_string(),
                        counts.dispatched.to_string(),
                        counts.rejected.to_string(),
                        counts.timed_out.to_string(),
                        counts.cancelled.to_string(),
                    ]);
                }
                Dump::Queues => {
                    for (index, queue) in state.fair.queues.iter().enumerate() {
                        if queue.executing == 0 && queue.waiting.is_empty() {
                            continue;
                        }
                        let widest = queue.waiting.iter().map(|one| one.seats).max().unwrap_or(0);
                        rows.push(vec![
                            name.clone(),
                            index.to_string(),
                            queue.waiting.len().to_string(),
                            queue.executing.to_string(),
                            queue.seats_in_use.to_string(),
                            format!("{:.8}ss", queue.next),
                            queue.seats_waiting.to_string(),
                            widest.to_string(),
                            format!("{:.8}ss", super::fair::guess(queue.seats_waiting)),
                        ]);
                    }
                }
                Dump::Requests { details } => {
                    for (index, queue) in state.fair.queues.iter().enumerate() {
                        for (place, one) in queue.waiting.iter().enumerate() {
                            rows.push(request(name, (index, place), one.seats, &one.ticket.details, details));
                        }
                    }
                }
            });
        }
        table(&rows)
    }
}

fn header(what: Dump) -> Vec<String> {
    let columns: &[&str] = match what {
        Dump::Levels => &[
            "PriorityLevelName",
            "ActiveQueues",
            "IsIdle",
            "IsQuiescing",
            "WaitingRequests",
            "ExecutingRequests",
            "DispatchedRequests",
            "RejectedRequests",
            "TimedoutRequests",
            "CancelledRequests",
        ],
        Dump::Queues => &[
            "PriorityLevelName",
            "Index",
            "PendingRequests",
            "ExecutingRequests",
            "SeatsInUse",
            "NextDispatchR",
            "InitialSeatsSum",
            "MaxSeatsSum",
            "TotalWorkSum",
        ],
        Dump::Requests { .. } => &[
            "PriorityLevelName",
            "FlowSchemaName",
            "QueueIndex",
            "RequestIndexInQueue",
            "FlowDistingsher",
            "ArriveTime",
            "InitialSeats",
            "FinalSeats",
            "AdditionalLatency",
            "StartTime",
        ],
    };
    let more: &[&str] = match what {
        Dump::Requests { details: true } => {
            &["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"]
        }
        _ => &[],
    };
    columns.iter().chain(more).map(|&column| column.to_owned()).collect()
}

fn request(
    level: &str,
    (queue, place): (usize, usize),
    seats: u32,
    details: &Details,
    more: bool,
) -> Vec<String> {
    let mut row = vec![
        level.to_owned(),
        details.schema.clone(),
        queue.to_string(),
        place.to_string(),
        details.flow.clone(),
        format!("{:.9}", details.arrived),
        seats.to_string(),
        "0".to_owned(),
        "0s".to_owned(),
        "0001-01-01T00:00:00.000000000Z".to_owned(),
    ];
    if more {
        let version = details.path.trim_start_matches("/apis/").trim_start_matches("/api/");
        let levels = if details.path.starts_with("/apis/") { 2 } else { 1 };
        let version: Vec<&str> = version.split('/').take(levels).collect();
        row.extend([
            details.user.clone(),
            details.verb.clone(),
            details.path.clone(),
            details.namespace.clone(),
            details.name.clone(),
            version.join("/"),
            details.resource.clone(),
            details.subresource.clone(),
        ]);
    }
    row
}

/// Columns of one width each, a comma behind all but the last.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        // The comma and one space.
        (longest.unwrap_or(0) + 2).max(8)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = if index + 1 < columns {
                write!(text, "{:width$}", format!("{cell},"), width = widths[index])
            } else {
                writeln!(text, "{cell}")
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["PriorityLevelName", "Index", "X"], ["a", "14", "y"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(table(&rows), "PriorityLevelName, Index,  X\na,                 14,     y\n");
    }
}
