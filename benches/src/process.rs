//! What this process has used so far, as the system tells it.

use std::fs;

/// Processor time of the threads that there are now, in seconds, to the nanosecond.
pub(crate) fn thread_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("procfs");
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Processor time of all threads there ever were, in seconds, to the nanosecond.
pub(crate) fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Memory that is in use now, in bytes.
pub(crate) fn resident_bytes() -> f64 {
    status("VmRSS:")
}

/// The most memory that was in use since [`forget_peak`].
pub(crate) fn peak_bytes() -> f64 {
    status("VmHWM:")
}

/// From now on the peak counts anew.
pub(crate) fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("procfs");
}

fn status(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("the system tells it") * 1024.0
}
