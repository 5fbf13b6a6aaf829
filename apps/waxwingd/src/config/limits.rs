//! The `[limits]` section: bounds on everything that others can make the broker do or keep (security-design §6).

use std::time::Duration;

use broker::rate::Rate;
use serde::{Deserialize, Serialize};

use super::{DAY_SECONDS, days};
use crate::settings::Settings;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LimitsSection {
    /// 0 means no bound.
    pre_auth_per_network: u32,
    pre_auth_seconds: u64,
    client_stanzas_per_second: u32,
    client_stanzas_burst: u32,
    client_bytes_per_second: u32,
    client_bytes_burst: u32,
    server_stanzas_per_second: u32,
    server_stanzas_burst: u32,
    new_domain_divisor: u32,
    session_queue_count: usize,
    session_queue_bytes: usize,
    sessions_per_account: usize,
    roster_items: usize,
    offline_bytes: u64,
    offline_sender_divisor: u32,
    offline_domain_divisor: u32,
    offline_days: u64,
    pending_requests: usize,
    directed_presence: usize,
    ack_timeout_seconds: u64,
    client_idle_seconds: u64,
    server_idle_seconds: u64,
    server_dial_seconds: u64,
    server_queue_count: usize,
    server_queue_bytes: usize,
    pep_item_bytes: usize,
    pep_nodes: usize,
    pep_items: u32,
    upload_bytes: u64,
    upload_bytes_per_day: u64,
    upload_days: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let Settings { limits, pep, upload, pre_auth_per_network, .. } = Settings::in_memory();
        Self {
            pre_auth_per_network: pre_auth_per_network.unwrap_or(0),
            pre_auth_seconds: limits.pre_auth.as_secs(),
            client_stanzas_per_second: limits.client_stanzas.per_second,
            client_stanzas_burst: limits.client_stanzas.burst,
            client_bytes_per_second: limits.client_bytes.per_second,
            client_bytes_burst: limits.client_bytes.burst,
            server_stanzas_per_second: limits.server_stanzas.per_second,
            server_stanzas_burst: limits.server_stanzas.burst,
            new_domain_divisor: limits.new_domain_divisor,
            session_queue_count: limits.session_queue_count,
            session_queue_bytes: limits.session_queue_bytes,
            sessions_per_account: limits.sessions_per_account,
            roster_items: limits.roster_items,
            offline_bytes: limits.offline_bytes,
            offline_sender_divisor: limits.offline_sender_divisor,
            offline_domain_divisor: limits.offline_domain_divisor,
            offline_days: limits.offline_age.as_secs() / DAY_SECONDS,
            pending_requests: limits.pending_requests,
            directed_presence: limits.directed_presence,
            ack_timeout_seconds: limits.ack_timeout.as_secs(),
            client_idle_seconds: limits.client_idle.as_secs(),
            server_idle_seconds: limits.server_idle.as_secs(),
            server_dial_seconds: limits.server_dial.as_secs(),
            server_queue_count: limits.server_queue_count,
            server_queue_bytes: limits.server_queue_bytes,
            pep_item_bytes: pep.item_bytes,
            pep_nodes: pep.nodes,
            pep_items: pep.items,
            upload_bytes: upload.max_bytes,
            upload_bytes_per_day: upload.per_day_bytes,
            upload_days: upload.lifetime.as_secs() / DAY_SECONDS,
        }
    }
}

impl LimitsSection {
    pub(super) fn apply(self, settings: &mut Settings) {
        let seconds = Duration::from_secs;
        settings.pre_auth_per_network = (self.pre_auth_per_network > 0).then_some(self.pre_auth_per_network);
        let limits = &mut settings.limits;
        limits.pre_auth = seconds(self.pre_auth_seconds);
        limits.client_stanzas = Rate { per_second: self.client_stanzas_per_second, burst: self.client_stanzas_burst };
        limits.client_bytes = Rate { per_second: self.client_bytes_per_second, burst: self.client_bytes_burst };
        limits.server_stanzas = Rate { per_second: self.server_stanzas_per_second, burst: self.server_stanzas_burst };
        limits.new_domain_divisor = self.new_domain_divisor;
        limits.session_queue_count = self.session_queue_count;
        limits.session_queue_bytes = self.session_queue_bytes;
        limits.sessions_per_account = self.sessions_per_account;
        limits.roster_items = self.roster_items;
        limits.offline_bytes = self.offline_bytes;
        limits.offline_sender_divisor = self.offline_sender_divisor;
        limits.offline_domain_divisor = self.offline_domain_divisor;
        limits.offline_age = days(self.offline_days);
        limits.pending_requests = self.pending_requests;
        limits.directed_presence = self.directed_presence;
        limits.ack_timeout = seconds(self.ack_timeout_seconds);
        limits.client_idle = seconds(self.client_idle_seconds);
        limits.server_idle = seconds(self.server_idle_seconds);
        limits.server_dial = seconds(self.server_dial_seconds);
        limits.server_queue_count = self.server_queue_count;
        limits.server_queue_bytes = self.server_queue_bytes;
        settings.pep.item_bytes = self.pep_item_bytes;
        settings.pep.nodes = self.pep_nodes;
        settings.pep.items = self.pep_items;
        settings.upload.max_bytes = self.upload_bytes;
        settings.upload.per_day_bytes = self.upload_bytes_per_day;
        settings.upload.lifetime = days(self.upload_days);
    }
}
