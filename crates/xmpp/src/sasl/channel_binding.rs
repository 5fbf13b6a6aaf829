//! Channel binding: what both ends of one TLS connection know and nobody between them does.

/// The channel bindings we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// Keying material exported from this very connection (RFC 9266): catches even a thief of the server's key.
    Exporter,
    /// The hash of the server's certificate (RFC 5929 §4): catches every other certificate.
    ServerEndPoint,
}

impl BindingType {
    /// Both, the stronger one first.
    pub const ALL: [BindingType; 2] = [BindingType::Exporter, BindingType::ServerEndPoint];

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            BindingType::Exporter => "tls-exporter",
            BindingType::ServerEndPoint => "tls-server-end-point",
        }
    }

    /// Recognises a registered name.
    pub fn parse(name: &str) -> Option<BindingType> {
        BindingType::ALL.into_iter().find(|binding| binding.name() == name)
    }
}

/// The channel binding data of one TLS connection, as far as they exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter`: exported with the label `EXPORTER-Channel-Binding`, no context, 32 bytes (RFC 9266 §2). Absent
    /// on TLS 1.2 without the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point`: the hash of the server's certificate with the hash of its signature algorithm, SHA-256
    /// in place of MD5 and SHA-1. Undefined for algorithms without a hash, such as Ed25519.
    pub server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// The data of one type.
    pub fn data(&self, binding: BindingType) -> Option<&[u8]> {
        match binding {
            BindingType::Exporter => self.exporter.as_ref().map(|data| data.as_slice()),
            BindingType::ServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// The types that exist on this connection, the stronger one first.
    pub fn types(&self) -> impl Iterator<Item = BindingType> + '_ {
        BindingType::ALL.into_iter().filter(|binding| self.data(*binding).is_some())
    }
}
