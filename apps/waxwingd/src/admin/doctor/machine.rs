//! The machine: clock, space, descriptors, memory, user.

use std::path::Path;

use store::{ClockVerdict, StoreError};
use xmpp::time::Timestamp;

use super::super::protocol::Check;

/// Nobody's clock was right before this was written.
const CLOCK_FLOOR: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// Less free space than this, and soon nothing can be kept.
const SPACE_LOW: u64 = 1024 * 1024 * 1024;
/// Less than this, and the next file fills the disk.
const SPACE_NONE: u64 = 100 * 1024 * 1024;

/// Descriptors that a broker of a hundred people needs: two connections each, and those to other servers.
const DESCRIPTORS_LOW: u64 = 1024;

/// Tells whether the clock can be right.
pub(super) fn clock(now: Timestamp, certificate_begins: Option<Timestamp>) -> Check {
    let name = "clock";
    if now < CLOCK_FLOOR || certificate_begins.is_some_and(|begins| now < begins) {
        return Check::bad(
            name,
            "the clock of this machine is behind, so certificates seem to be of the future",
            "Set the clock, or switch on time synchronisation (timedatectl set-ntp true).",
        );
    }
    Check::good(name, format!("it is {} (UTC); if that is wrong, certificates are refused", now.to_xep0082()))
}

/// Tells whether the clock is where the store expects it (B10).
pub(super) fn steadiness(verdict: Result<ClockVerdict, StoreError>) -> Check {
    let name = "clock and store";
    match verdict {
        Ok(ClockVerdict::Believed) => Check::good(name, "the clock is where it was left"),
        Ok(ClockVerdict::Doubted { ahead_ms, steady_ms }) => {
            let days = ahead_ms.unsigned_abs() / 86_400_000;
            let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
            let hours = 24u64.saturating_sub(steady_ms / 3_600_000);
            Check::warning(
                name,
                format!(
                    "the clock is {days} days {way} where the store saw it last, so nothing expires and nothing is renewed"
                ),
                format!(
                    "If it is right, wait (it is believed after {hours} more hours of running) or run waxwingd doctor \
                     --accept-clock. If it is wrong, set it."
                ),
            )
        }
        Err(error) => Check::bad(name, error.what_happened(), error.what_to_do()),
    }
}

/// Tells whether somebody keeps the clock right.
pub(super) fn synchronisation() -> Check {
    // systemd-timesyncd's own mark, and the runtime files of the other usual programs
    let marks = ["/run/systemd/timesync/synchronized", "/run/chrony", "/run/ntpd.pid", "/run/openntpd.sock"];
    synchronised(marks.iter().any(|mark| Path::new(mark).exists()))
}

pub(super) fn synchronised(is_kept: bool) -> Check {
    let name = "time synchronisation";
    if is_kept {
        return Check::good(name, "a program keeps the clock right");
    }
    Check::warning(
        name,
        "no program was found that keeps the clock right; a clock that drifts makes certificates fail one day",
        "Switch it on (timedatectl set-ntp true), unless the clock comes from elsewhere, as in a container.",
    )
}

/// Looks at the space for the data.
pub(super) fn space(data: &Path) -> Check {
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(data);
    match rustix::fs::statvfs(existing) {
        Ok(stat) => free_space(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(_) => Check::warning("disk space", "how much is free cannot be told", "Look with `df -h`."),
    }
}

pub(super) fn free_space(bytes: u64) -> Check {
    let name = "disk space";
    let todo = "Free some space, or move the data directory to a larger disk.";
    let said = in_units(bytes);
    if bytes < SPACE_NONE {
        return Check::bad(name, format!("only {said} are free: messages and files will soon be refused"), todo);
    }
    if bytes < SPACE_LOW {
        return Check::warning(name, format!("{said} are free, which a few large files fill"), todo);
    }
    Check::good(name, format!("{said} are free for the data"))
}

fn in_units(bytes: u64) -> String {
    let mib = bytes / (1024 * 1024);
    if mib < 10 * 1024 { format!("{mib} MiB") } else { format!("{} GiB", mib / 1024) }
}

/// Looks at how many connections and files the system allows.
pub(super) fn descriptors() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // as many as entries but the one that is open for counting; nothing where there is no such file system
    let used = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1));
    open_files(used as u64, limit.current.unwrap_or(u64::MAX))
}

pub(super) fn open_files(used: u64, limit: u64) -> Check {
    let name = "descriptors";
    let todo = "Raise the limit: LimitNOFILE=65536 in the service file, or `ulimit -n 65536` before the start.";
    if used > limit / 10 * 8 {
        let why = format!("{used} of {limit} are in use: soon no connection can be accepted");
        return Check::bad(name, why, todo);
    }
    if limit < DESCRIPTORS_LOW {
        let why = format!("the system allows {limit}, and each connection takes one");
        return Check::warning(name, why, todo);
    }
    Check::good(name, format!("{used} of {limit} are in use; each connection takes one"))
}

/// Tells whether a crash would write the memory to a file.
pub(super) fn core_dumps() -> Check {
    let name = "core dumps";
    match rustix::process::dumpable_behavior() {
        Ok(rustix::process::DumpableBehavior::NotDumpable) => {
            Check::good(name, "the memory is never written to a file when the program crashes")
        }
        _ => Check::warning(
            name,
            "after a crash the system may write the memory, with everything in it, to a file",
            "Run the broker as a user of its own and switch core dumps off (ulimit -c 0).",
        ),
    }
}

/// Tells whether the memory may be written to a disk when there is too little of it.
pub(super) fn swap() -> Check {
    let listed = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    let disks = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    // compressed memory is no disk, and what a mapper provides is most often encrypted
    swap_on(disks.filter(|place| !place.contains("/zram") && !place.starts_with("/dev/dm-")).count())
}

pub(super) fn swap_on(places: usize) -> Check {
    let name = "swap";
    if places == 0 {
        return Check::good(name, "the memory is not written to a disk in clear when it runs short");
    }
    Check::warning(
        name,
        "when memory runs short, parts of it are written to a disk, perhaps in clear: keys and names among them",
        "Encrypt the swap space, or switch it off (swapoff -a).",
    )
}

/// Tells whether the program may do more than it needs.
pub(super) fn user() -> Check {
    run_by(rustix::process::geteuid().is_root())
}

pub(super) fn run_by(is_root: bool) -> Check {
    let name = "user";
    if !is_root {
        return Check::good(name, "the broker does not run as root");
    }
    Check::warning(
        name,
        "the broker runs as root: a mistake in it would be one in the whole machine",
        "Run it as a user of its own; docs/running-a-broker.md has a service file that does.",
    )
}
