//! The floor: a bare TLS relay. It reads what one connection sends and writes it to its partner's, and knows no XMPP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use net::connection::Connection;
use net::identity::{Identity, ReloadableIdentity};
use net::tls::{Purpose, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

type Writers = Arc<Mutex<HashMap<u32, WriteHalf<Connection>>>>;

/// Serves until killed. Arguments: address, chain file, key file.
pub(crate) fn serve(args: &[String]) {
    let [address, chain, key] = args else { panic!("relay needs an address, a chain and a key") };
    let address: SocketAddr = address.parse().expect("an address");
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).expect("a PEM file");
    let identity = Identity::from_pem(&read(chain), &read(key)).expect("a certificate and its key");
    let tls = ServerTls::new(Purpose::Https, ReloadableIdentity::new(identity));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let writers = Writers::default();
        loop {
            let (tcp, _) = listener.accept().await.expect("connections are accepted");
            tokio::spawn(connection(tcp, tls.clone(), Arc::clone(&writers)));
        }
    });
}

/// The first four bytes are the connection's number; its partner's differs in the last bit.
async fn connection(tcp: tokio::net::TcpStream, tls: ServerTls, writers: Writers) {
    let Ok((connection, _)) = Connection::from(tcp).accept_tls(&tls, 0).await else { return };
    let (mut reader, writer) = tokio::io::split(connection);
    let mut number = [0; 4];
    if reader.read_exact(&mut number).await.is_err() {
        return;
    }
    let number = u32::from_be_bytes(number);
    writers.lock().await.insert(number, writer);
    let mut partner: Option<WriteHalf<Connection>> = None;
    let mut buffer = vec![0; 4096];
    while let Ok(len @ 1..) = reader.read(&mut buffer).await {
        if partner.is_none() {
            partner = writers.lock().await.remove(&(number ^ 1));
        }
        let Some(writer) = &mut partner else { continue };
        let sent = async { writer.write_all(&buffer[..len]).await.and(writer.flush().await) };
        if sent.await.is_err() {
            return;
        }
    }
}
