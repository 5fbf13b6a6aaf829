//! A DNS server for a handful of names (RFC 1035), over UDP.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An address, A or AAAA.
    Address(IpAddr),
    /// A service; the target `.` says that it is not offered.
    Srv {
        /// Lower first.
        priority: u16,
        /// Share within the priority.
        weight: u16,
        /// TCP port.
        port: u16,
        /// Host name.
        target: String,
    },
}

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
const TTL_SECONDS: u32 = 60;

impl Record {
    /// Makes a service record with priority 10 and weight 10.
    pub fn srv(target: &str, port: u16) -> Self {
        Self::Srv { priority: 10, weight: 10, port, target: target.to_owned() }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Address(IpAddr::V4(_)) => TYPE_A,
            Self::Address(IpAddr::V6(_)) => TYPE_AAAA,
            Self::Srv { .. } => TYPE_SRV,
        }
    }

    fn data(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Self::Srv { priority, weight, port, target } => {
                let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
                let mut data = numbers.concat();
                data.extend(encode_name(target));
                data
            }
        }
    }
}

type Zone = HashMap<String, Vec<Record>>;

/// A running DNS server.
#[derive(Debug)]
pub struct DnsResponder {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: Mutex<Zone>,
    asked: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl DnsResponder {
    /// Starts on an address; port 0 lets the operating system choose.
    ///
    /// # Errors
    ///
    /// The port cannot be opened.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?; // how soon `drop` is noticed
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&socket, &shared)
        });
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Returns the address to send questions to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an answer for a name such as `_xmpp-client._tcp.north.example`.
    pub fn add(&self, name: &str, record: Record) {
        lock(&self.shared.zone).entry(normal(name)).or_default().push(record);
    }

    /// Forgets all answers for a name.
    pub fn remove(&self, name: &str) {
        lock(&self.shared.zone).remove(&normal(name));
    }

    /// Returns all names that were asked for so far, in order, lower case.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for DnsResponder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0u8; 4096];
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(question) = buffer.get(..length).and_then(Question::parse) else { continue };
        lock(&shared.asked).push(question.name.clone());
        let answer = question.answer(&lock(&shared.zone));
        let _ = socket.send_to(&answer, from);
    }
}

struct Question<'a> {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// Name, type and class as they were asked: repeated in the answer, with the same upper and lower case.
    raw: &'a [u8],
}

impl<'a> Question<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let (header, rest) = message.split_at_checked(12)?;
        let mut labels = Vec::new();
        let mut at = 0;
        loop {
            let length = usize::from(*rest.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(std::str::from_utf8(rest.get(at..at + length)?).ok()?.to_ascii_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]);
        let raw = rest.get(..at + 4)?;
        Some(Self { id: [*header.first()?, *header.get(1)?], name: labels.join("."), kind, raw })
    }

    fn answer(&self, zone: &Zone) -> Vec<u8> {
        let known = zone.get(&self.name);
        // A name that has names below it exists as well, without records.
        let exists = known.is_some() || zone.keys().any(|name| name.ends_with(&format!(".{}", self.name)));
        let answers: Vec<&Record> = known.into_iter().flatten().filter(|record| record.kind() == self.kind).collect();
        let response_code = if exists { 0 } else { 3 }; // NOERROR or NXDOMAIN
        let mut message = self.id.to_vec();
        message.extend([0x85, 0x80 | response_code]); // response, authoritative, recursion desired and available
        for count in [1, answers.len() as u16, 0, 0] {
            message.extend(count.to_be_bytes());
        }
        message.extend(self.raw);
        for record in answers {
            let data = record.data();
            message.extend([0xc0, 12]); // the name, by pointer to the question
            message.extend(record.kind().to_be_bytes());
            message.extend([0, 1]); // class IN
            message.extend(TTL_SECONDS.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        message
    }
}

fn encode_name(name: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        encoded.push(label.len().min(63) as u8);
        encoded.extend(label.bytes().take(63));
    }
    encoded.push(0);
    encoded
}
