//! What the kernel says about a process group: processor time and resident memory.

/// Everything measured of one server, one value a round.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    pub(crate) title: &'static str,
    pub(crate) message_us: Vec<f64>,
    pub(crate) messages_per_second: Vec<f64>,
    pub(crate) login_ms: Vec<f64>,
    pub(crate) idle_kib: Vec<f64>,
    pub(crate) empty_mib: Vec<f64>,
}

impl Results {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            message_us: Vec::new(),
            messages_per_second: Vec::new(),
            login_ms: Vec::new(),
            idle_kib: Vec::new(),
            empty_mib: Vec::new(),
        }
    }
}

/// Returns the processor time of all processes of a group, user and system, in seconds.
pub(crate) fn cpu_seconds(group: u32) -> f64 {
    // Fields 14 and 15 of /proc/PID/stat, counted in ticks of 1/100 s on every Linux that matters.
    let ticks: u64 = members(group).map(|stat| stat.utime + stat.stime).sum();
    ticks as f64 / 100.0
}

/// Returns the processor time of all child processes that have ended, user and system, in seconds.
pub(crate) fn children_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    (ticks(13) + ticks(14)) as f64 / 100.0 // fields 16 and 17
}

/// Returns the resident memory of all processes of a group, in KiB.
pub(crate) fn resident_kib(group: u32) -> u64 {
    members(group).filter_map(|stat| status_kib(stat.pid)).sum()
}

struct Stat {
    pid: u32,
    utime: u64,
    stime: u64,
}

fn members(group: u32) -> impl Iterator<Item = Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter_map(move |pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the fields start after the last one.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let in_group = fields.get(2)?.parse::<u32>().ok()? == group;
        let stat = Stat { pid, utime: fields.get(11)?.parse().ok()?, stime: fields.get(12)?.parse().ok()? };
        in_group.then_some(stat)
    })
}

fn status_kib(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the middle of the values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
