//! A SOCKS5 proxy (RFC 1928) that connects to where the test says, whatever name was asked for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A running proxy.
#[derive(Debug)]
pub struct SocksProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    hosts: Mutex<HashMap<(String, u16), SocketAddr>>,
    asked: Mutex<Vec<(String, u16)>>,
    users: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl SocksProxy {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// No port can be opened.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&listener, &shared)
        });
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Returns the proxy's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads a host name (or address) and port to a real address. All others are "host unreachable".
    pub fn lead(&self, host: &str, port: u16, to: SocketAddr) {
        lock(&self.shared.hosts).insert((host.to_owned(), port), to);
    }

    /// Returns all hosts and ports that were asked for, in order.
    pub fn asked(&self) -> Vec<(String, u16)> {
        lock(&self.shared.asked).clone()
    }

    /// Returns the user names that were given, in order: the isolation keys.
    pub fn users(&self) -> Vec<String> {
        lock(&self.shared.users).clone()
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes the thread from `accept`
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = serve_one(stream, &shared);
        });
    }
}

fn serve_one(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let [version, methods] = read::<2>(&mut client)?;
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered)?;
    if version != 5 {
        return Ok(());
    }
    if offered.contains(&2) {
        client.write_all(&[5, 2])?;
        let [_, length] = read::<2>(&mut client)?;
        let user = read_text(&mut client, length)?;
        let [length] = read::<1>(&mut client)?;
        read_text(&mut client, length)?;
        lock(&shared.users).push(user);
        client.write_all(&[1, 0])?;
    } else {
        client.write_all(&[5, 0])?;
    }
    let [_, _, _, kind] = read::<4>(&mut client)?;
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        4 => std::net::Ipv6Addr::from(read::<16>(&mut client)?).to_string(),
        _ => {
            let [length] = read::<1>(&mut client)?;
            read_text(&mut client, length)?
        }
    };
    let asked = (host, u16::from_be_bytes(read::<2>(&mut client)?));
    lock(&shared.asked).push(asked.clone());
    let to = lock(&shared.hosts).get(&asked).copied();
    match to.map(TcpStream::connect) {
        Some(Ok(server)) => {
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
            relay(client, server)
        }
        Some(Err(_)) => client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]),
        None => client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]),
    }
}

fn relay(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = io::copy(&mut from_server, &mut to_client);
    to_client.shutdown(Shutdown::Write)
}

fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(stream: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
