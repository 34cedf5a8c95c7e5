//! Process: what the system says of this process, as `process_*` metrics.
//!
//! In: `/proc/self`. Out: the metrics every Prometheus client has, under their usual names. Where there is no `/proc` they
//! stay 0.

use std::fs;

use prometheus::{Counter, Gauge, IntGauge, Registry, core::Collector};

/// Linux counts processor time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The metrics of this process.
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    start: Gauge,
    threads: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
}

impl Process {
    /// Registers them.
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| register(registry, IntGauge::new(name, help));
        let process = Self {
            cpu: register(
                registry,
                Counter::new("process_cpu_seconds_total", "Processor time, user and system."),
            ),
            resident: gauge("process_resident_memory_bytes", "Memory in use."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Memory addressed."),
            start: register(
                registry,
                Gauge::new("process_start_time_seconds", "When the process began."),
            ),
            threads: gauge("process_threads", "Threads."),
            open_files: gauge("process_open_fds", "Open files and connections."),
            max_files: gauge("process_max_fds", "How many there may be."),
        };
        process.start.set(started().unwrap_or(0.0));
        process
    }

    /// Looks again.
    pub(super) fn look(&self) {
        if let Some(cpu) = stat().and_then(|s| Some(s.get(11)? + s.get(12)?)) {
            self.cpu.inc_by((cpu / TICKS_PER_SECOND - self.cpu.get()).max(0.0));
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        self.resident.set(field(&status, "VmRSS:").unwrap_or(0) * 1024);
        self.virtual_memory.set(field(&status, "VmSize:").unwrap_or(0) * 1024);
        self.threads.set(field(&status, "Threads:").unwrap_or(0));
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.open_files.set(i64::try_from(open).unwrap_or(0));
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        self.max_files.set(field(&limits, "Max open files").unwrap_or(0));
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> C {
    let metric = metric.expect("names of this file are valid");
    registry.register(Box::new(metric.clone())).expect("each name stands once in this file");
    metric
}

/// The numbers of `/proc/self/stat` behind the name, which may hold spaces: state is number 0 and reads as 0.
fn stat() -> Option<Vec<f64>> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(|n| n.parse().unwrap_or(0.0)).collect())
}

/// Seconds since 1970 at which the process began.
fn started() -> Option<f64> {
    let since_boot = stat()?.get(19)? / TICKS_PER_SECOND;
    let system = fs::read_to_string("/proc/stat").ok()?;
    Some(field(&system, "btime")? as f64 + since_boot)
}

/// The first number behind `name` in a text of lines.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let registry = Registry::new();
        let process = Process::new(&registry);
        process.look();
        for gauge in [&process.resident, &process.threads, &process.open_files] {
            assert!(gauge.get() > 0, "{gauge:?}");
        }
        assert!(process.max_files.get() >= process.open_files.get());
        assert!(process.start.get() > 1.6e9, "{}", process.start.get());
        let cpu = process.cpu.get();
        process.look();
        assert!(process.cpu.get() >= cpu);
    }

    #[test]
    fn fields_of_lines() {
        let limits = "Limit   Soft Limit  Hard Limit\nMax open files   1024   4096   files\n";
        assert_eq!(field(limits, "Max open files"), Some(1_024));
        assert_eq!(field(limits, "Max elsewhere"), None);
    }
}
