//! A way to a broker that can be held up in one direction.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use waxwingd::Server;
use xep::uri::{Endpoint, Link};

/// A forwarder to a broker.
pub(crate) struct Way {
    address: SocketAddr,
    /// Whether what the broker says is held up.
    held: Arc<watch::Sender<bool>>,
    task: tokio::task::JoinHandle<()>,
}

/// Without its way nobody answers there any more.
impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Way {
    pub(crate) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let (address, far) = (listener.local_addr().expect("bound"), server.addresses().client_tls);
        let held = Arc::new(watch::channel(false).0);
        let shared = Arc::clone(&held);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let held = shared.subscribe();
                tokio::spawn(
                    async move { forward(near, TcpStream::connect(far).await.expect("a broker"), held).await },
                );
            }
        });
        Self { address, held, task }
    }

    /// Holds up, or lets pass, what the broker says.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// The same link, leading over this way.
    pub(crate) fn over(&self, link: &str) -> String {
        let mut link = Link::parse(link).expect("a link");
        link.at = vec![Endpoint::parse(&self.address.to_string()).expect("an address")];
        link.to_text().expect("short enough")
    }
}

async fn forward(near: TcpStream, far: TcpStream, mut held: watch::Receiver<bool>) {
    let (mut near_reader, mut near_writer) = near.into_split();
    let (mut far_reader, mut far_writer) = far.into_split();
    let there = async {
        let _ = tokio::io::copy(&mut near_reader, &mut far_writer).await;
        let _ = far_writer.shutdown().await;
    };
    let back = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = far_reader.read(&mut buffer).await {
            let _ = held.wait_for(|held| !held).await;
            if near_writer.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        let _ = near_writer.shutdown().await;
    };
    tokio::join!(there, back);
}

/// Waits for something that another process does.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("in vain: {what}");
}
