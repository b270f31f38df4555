//! The process' own metrics, under the names that dashboards know.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// The kernel's clock tick in /proc, which its ABI fixes at 100 per second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// The page size in /proc/self/statm. Gantry is built for x86-64 and arm64 with 4 KiB pages.
const PAGE_BYTES: f64 = 4096.0;

/// Collects memory, CPU time, file descriptors and start time from /proc/self.
#[derive(Debug)]
pub struct Metrics {
    cpu: Counter,
    rss: Gauge,
    virt: Gauge,
    fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start: Gauge,
}

/// Registers the collector in the default registry.
pub(crate) fn register() -> prometheus::Result<()> {
    prometheus::default_registry().register(Box::new(Metrics::new()?))
}

impl Metrics {
    /// A collector that reads the start time once and the rest at each scrape.
    pub fn new() -> prometheus::Result<Self> {
        let metrics = Self {
            cpu: Counter::new("process_cpu_seconds_total", "Total user and system CPU time in seconds.")?,
            rss: Gauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virt: Gauge::new("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            fds: Gauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            threads: Gauge::new("process_threads", "Number of threads.")?,
            start: Gauge::new("process_start_time_seconds", "Start time since the epoch in seconds.")?,
        };
        metrics.start.set(start_time().unwrap_or_default());
        Ok(metrics)
    }

    /// Reads /proc. What cannot be read keeps its last value: a scrape never fails for it.
    fn update(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|s| Stat::parse(&s)) {
            let delta = stat.cpu_ticks / TICKS_PER_SECOND - self.cpu.get();
            if delta > 0.0 {
                self.cpu.inc_by(delta);
            }
            self.threads.set(stat.threads);
        }
        if let Ok(statm) = fs::read_to_string("/proc/self/statm") {
            let mut pages = statm.split(' ').map_while(|field| field.trim().parse::<f64>().ok());
            if let (Some(virt), Some(rss)) = (pages.next(), pages.next()) {
                self.virt.set(virt * PAGE_BYTES);
                self.rss.set(rss * PAGE_BYTES);
            }
        }
        if let Ok(dir) = fs::read_dir("/proc/self/fd") {
            // The directory handle itself is open while it is counted.
            self.fds.set(dir.count().saturating_sub(1) as f64);
        }
        if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().and_then(|s| max_open_files(&s)) {
            self.max_fds.set(limit);
        }
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.cpu.desc();
        for gauge in [&self.rss, &self.virt, &self.fds, &self.max_fds, &self.threads, &self.start] {
            all.extend(gauge.desc());
        }
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.update();
        let mut all = self.cpu.collect();
        for gauge in [&self.rss, &self.virt, &self.fds, &self.max_fds, &self.threads, &self.start] {
            all.extend(gauge.collect());
        }
        all
    }
}

/// The fields of /proc/self/stat that are used here.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The command's name is in parentheses and may hold spaces and parentheses: the fields start after the last.
        let fields: Vec<f64> = text
            .rsplit_once(") ")?
            .1
            .split_ascii_whitespace()
            .skip(1)
            .map(|f| f.parse().unwrap_or(0.0))
            .collect();
        Some(Self {
            cpu_ticks: fields.get(10)? + fields.get(11)?,
            threads: *fields.get(16)?,
            start_ticks: *fields.get(18)?,
        })
    }
}

fn max_open_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn start_time() -> Option<f64> {
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(now - uptime + stat.start_ticks / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_past_a_hostile_command_name() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 9 0 12345 1000 200 rest";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat, Stat { cpu_ticks: 100.0, threads: 9.0, start_ticks: 12345.0 });
    }

    #[test]
    fn the_limit_of_open_files_is_found() {
        let limits = "Max processes 10 20 processes\nMax open files            1024                 20000                files\n";
        assert_eq!(max_open_files(limits), Some(1024.0));
    }

    #[test]
    fn this_process_has_memory_descriptors_and_a_start() {
        let metrics = Metrics::new().unwrap();
        metrics.update();
        assert!(metrics.rss.get() > 0.0);
        assert!(metrics.fds.get() > 0.0);
        assert!(metrics.threads.get() >= 1.0);
        assert!(metrics.start.get() > 1.6e9);
    }
}
