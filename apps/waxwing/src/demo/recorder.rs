//! Stands between two ends of a TCP connection, passes everything on and remembers it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The bytes of one direction of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    pub(super) fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All connections that went through here; two directions each.
#[derive(Debug, Clone, Default)]
pub(super) struct Recordings(Arc<Mutex<Vec<[Bytes; 2]>>>);

impl Recordings {
    fn begin(&self) -> [Bytes; 2] {
        let both = [Bytes::default(), Bytes::default()];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(both.clone());
        both
    }

    /// Takes what has been recorded: one entry for each direction of each connection.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let connections = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        connections.iter().flatten().map(Bytes::take).collect()
    }
}

/// Where the connections of a recorder go.
#[derive(Debug, Clone, Copy)]
enum Destination {
    /// Always there.
    Fixed(SocketAddr),
    /// Where the other end says by SOCKS version 5 (RFC 1928); that is recorded too.
    Socks,
}

/// A recorder on a port of its own; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    pub(super) recordings: Recordings,
    _tasks: JoinSet<()>,
}

impl Recorder {
    /// Stands before one address.
    pub(super) async fn before(destination: SocketAddr) -> io::Result<Self> {
        Self::listen(Destination::Fixed(destination)).await
    }

    /// Is the only way out of somebody.
    pub(super) async fn way_out() -> io::Result<Self> {
        Self::listen(Destination::Socks).await
    }

    async fn listen(destination: Destination) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, recordings) = (listener.local_addr()?, Recordings::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, destination, recordings.clone()));
        Ok(Self { address, recordings, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, destination: Destination, recordings: Recordings) {
    let mut connections = JoinSet::new(); // ends with this task
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let both = recordings.begin();
        connections.spawn(async move {
            let _ = pass(stream, destination, both).await; // the ends notice a broken connection by themselves
        });
    }
}

async fn pass(mut near: TcpStream, destination: Destination, [out, back]: [Bytes; 2]) -> io::Result<()> {
    let address = match destination {
        Destination::Fixed(address) => address,
        Destination::Socks => negotiate(&mut near, &out, &back).await?,
    };
    let far = TcpStream::connect(address).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_reader, near_writer) = near.into_split();
    let (far_reader, far_writer) = far.into_split();
    tokio::join!(carry(near_reader, far_writer, &out), carry(far_reader, near_writer, &back));
    Ok(())
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, recorded: &Bytes) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let piece = buffer.get(..count).unwrap_or_default();
        recorded.push(piece);
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// The proxy's side of SOCKS version 5: any credentials, CONNECT to an IPv4 address.
async fn negotiate(near: &mut TcpStream, out: &Bytes, back: &Bytes) -> io::Result<SocketAddr> {
    let greeting = read(near, 2, out).await?;
    let methods = read(near, greeting.get(1).map_or(0, |count| usize::from(*count)), out).await?;
    if methods.contains(&2) {
        write(near, &[5, 2], back).await?;
        let name = read(near, 2, out).await?;
        read(near, name.get(1).map_or(0, |length| usize::from(*length)), out).await?;
        let password = read(near, 1, out).await?;
        read(near, password.first().map_or(0, |length| usize::from(*length)), out).await?;
        write(near, &[1, 0], back).await?;
    } else {
        write(near, &[5, 0], back).await?;
    }
    match read(near, 10, out).await?.as_slice() {
        [5, 1, 0, 1, a, b, c, d, high, low] => {
            write(near, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], back).await?;
            Ok((Ipv4Addr::new(*a, *b, *c, *d), u16::from_be_bytes([*high, *low])).into())
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn read(near: &mut TcpStream, count: usize, recorded: &Bytes) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    near.read_exact(&mut bytes).await?;
    recorded.push(&bytes);
    Ok(bytes)
}

async fn write(near: &mut TcpStream, bytes: &[u8], recorded: &Bytes) -> io::Result<()> {
    recorded.push(bytes);
    near.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use net::dial::{AddressRule, Dialler, HostPort, Proxy};
    use net::dns::Names;

    use super::*;

    /// Sends back what comes.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            }
        });
        (address, task)
    }

    async fn talk(mut stream: TcpStream) {
        stream.write_all(b"there and back").await.expect("written");
        stream.shutdown().await.expect("shut");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("read");
        assert_eq!(answer, b"there and back");
    }

    #[tokio::test]
    async fn both_directions_are_remembered() {
        let (address, _echo) = echo().await;
        let recorder = Recorder::before(address).await.expect("a port");
        talk(TcpStream::connect(recorder.address).await.expect("connected")).await;
        assert_eq!(recorder.recordings.take(), [b"there and back", b"there and back"]);
    }

    #[tokio::test]
    async fn the_way_out_leads_where_it_is_told() {
        let (address, _echo) = echo().await;
        let recorder = Recorder::way_out().await.expect("a port");
        let dialler = Dialler::direct(Names::system()).with_proxy(Proxy::new(recorder.address));
        for isolation in [None, Some("somebody")] {
            let host = HostPort::new("127.0.0.1", address.port());
            talk(dialler.open(&host, AddressRule::Any, isolation).await.expect("connected")).await;
        }
        let recorded = recorder.recordings.take();
        assert_eq!(recorded.len(), 4);
        assert!(recorded.iter().all(|direction| direction.ends_with(b"there and back")));
    }
}
