//! The table that goes into `docs/benchmarks.md`.

use std::fmt::Write;

use crate::measure::{Results, median};

/// Writes one row a server: medians over the rounds, with the ratio to the relay.
pub(crate) fn render(all: &[Results], rounds: usize) -> String {
    let relay = all.iter().find(|r| r.title.contains("relay")).map(|r| median(&r.message_us));
    let mut out = format!(
        "Server processor time and memory, median of {rounds} round(s). All servers: 4096 SCRAM iterations, rate limits off.\n\n\
         | server | 1.15 KiB message | ratio to relay | messages/s | login | idle session | empty |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for r in all {
        let message = median(&r.message_us);
        let ratio = relay.map_or("-".into(), |relay| format!("{:.1}", message / relay));
        let _ = writeln!(
            out,
            "| {} | {message:.1} µs | {ratio} | {:.0} | {:.2} ms | {:.1} KiB | {:.1} MiB |",
            r.title,
            median(&r.messages_per_second),
            median(&r.login_ms),
            median(&r.idle_kib),
            median(&r.empty_mib),
        );
    }
    out
}
