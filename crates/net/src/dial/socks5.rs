//! The initiating side of SOCKS version 5: CONNECT by name, with user name and password as isolation key.
//!
//! Source: RFC 1928, RFC 1929. Tor puts connections with different credentials on different circuits
//! (`IsolateSOCKSAuth`).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::OpenError;
use crate::names::{ip_literal, to_ascii};

/// Why the proxy did not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy itself cannot be reached.
    NotRunning,
    /// What answers is no SOCKS5 proxy.
    NotSocks5,
    /// It asks for a way to sign in that we do not have.
    AccessDenied,
    /// It may not connect there by its rules.
    NotAllowed,
    /// It cannot reach the host.
    HostUnreachable,
    /// The host refused the connection.
    Refused,
    /// It failed for a reason of its own.
    Failed,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "the proxy does not answer: start it (for Tor: the tor service), or change the setting",
            Self::NotSocks5 => "what answers at the proxy's address is no SOCKS5 proxy",
            Self::AccessDenied => "the proxy does not let this program in",
            Self::NotAllowed => "the proxy's rules forbid this connection",
            Self::HostUnreachable => "the proxy cannot reach the host",
            Self::Refused => "the host refused the proxy's connection",
            Self::Failed => "the proxy failed",
        })
    }
}

/// A SOCKS5 proxy. While one is set it is the only way out.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    /// Mixed into the credentials, so that they tell the proxy nothing and change at every start.
    salt: [u8; 16],
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")
    }
}

impl Proxy {
    /// Uses the proxy at an address, such as `127.0.0.1:9050` for Tor.
    pub fn new(address: SocketAddr) -> Self {
        let mut salt = [0; 16];
        // Without randomness the credentials are only guessable by the proxy, which knows the targets anyway.
        let _ = getrandom::fill(&mut salt);
        Self { address, salt }
    }

    pub(super) async fn connect(&self, host: &str, port: u16, isolation: Option<&str>) -> Result<TcpStream, OpenError> {
        let request = request(host, port).ok_or(OpenError::Name(crate::dns::DnsError::Forbidden))?;
        let proxied = async {
            let mut stream = TcpStream::connect(self.address).await.map_err(|_| ProxyError::NotRunning)?;
            self.sign_in(&mut stream, isolation).await?;
            stream.write_all(&request).await.map_err(broken)?;
            read_reply(&mut stream).await?;
            Ok(stream)
        };
        proxied.await.map_err(OpenError::Proxy)
    }

    /// RFC 1928 §3 and RFC 1929 §2.
    async fn sign_in(&self, stream: &mut TcpStream, isolation: Option<&str>) -> Result<(), ProxyError> {
        let greeting: &[u8] = if isolation.is_some() { &[5, 2, 2, 0] } else { &[5, 1, 0] };
        stream.write_all(greeting).await.map_err(broken)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.map_err(broken)?;
        match (answer, isolation) {
            ([5, 0], _) => Ok(()),
            ([5, 2], Some(key)) => {
                stream.write_all(&self.credentials(key)).await.map_err(broken)?;
                stream.read_exact(&mut answer).await.map_err(broken)?;
                if answer == [1, 0] { Ok(()) } else { Err(ProxyError::AccessDenied) }
            }
            ([5, _], _) => Err(ProxyError::AccessDenied),
            _ => Err(ProxyError::NotSocks5),
        }
    }

    fn credentials(&self, key: &str) -> Vec<u8> {
        let digest = Sha256::new().chain_update(self.salt).chain_update(key).finalize();
        let user = URL_SAFE_NO_PAD.encode(digest); // 43 characters
        let mut message = vec![1, user.len() as u8];
        message.extend_from_slice(user.as_bytes());
        message.extend_from_slice(&[1, b'x']);
        message
    }
}

/// RFC 1928 §4: version, CONNECT, reserved, address, port. `None` for a host that has no wire form.
fn request(host: &str, port: u16) -> Option<Vec<u8>> {
    let mut message = vec![5, 1, 0];
    match ip_literal(host) {
        Some(IpAddr::V4(address)) => {
            message.push(1);
            message.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            message.push(4);
            message.extend_from_slice(&address.octets());
        }
        None => {
            let name = to_ascii(host)?;
            message.extend_from_slice(&[3, u8::try_from(name.len()).ok()?]);
            message.extend_from_slice(name.as_bytes());
        }
    }
    message.extend_from_slice(&port.to_be_bytes());
    Some(message)
}

/// RFC 1928 §6. The bound address is read off the stream and ignored.
async fn read_reply(stream: &mut TcpStream) -> Result<(), ProxyError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(broken)?;
    let [5, reply, _, address_type] = head else { return Err(ProxyError::NotSocks5) };
    match reply {
        0 => {}
        2 => return Err(ProxyError::NotAllowed),
        3 | 4 | 6 => return Err(ProxyError::HostUnreachable),
        5 => return Err(ProxyError::Refused),
        _ => return Err(ProxyError::Failed),
    }
    let address_bytes = match address_type {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(broken)?),
        _ => return Err(ProxyError::NotSocks5),
    };
    let mut rest = vec![0; address_bytes + 2];
    stream.read_exact(&mut rest).await.map_err(broken)?;
    Ok(())
}

fn broken(_: io::Error) -> ProxyError {
    ProxyError::NotSocks5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_form_of_rfc_1928() {
        assert_eq!(request("127.0.0.1", 5222), Some(vec![5, 1, 0, 1, 127, 0, 0, 1, 0x14, 0x66]));
        assert_eq!(request("a.onion", 80), Some([&[5, 1, 0, 3, 7][..], b"a.onion", &[0, 80]].concat()));
        assert_eq!(request("::1", 1).map(|message| message.len()), Some(22));
        assert_eq!(request("no name", 1), None);
    }

    #[test]
    fn credentials_differ_by_key_and_by_process_and_do_not_show_the_key() {
        let (one, two) = (Proxy::new(([127, 0, 0, 1], 1).into()), Proxy::new(([127, 0, 0, 1], 1).into()));
        assert_eq!(one.credentials("alice"), one.credentials("alice"));
        assert_ne!(one.credentials("alice"), one.credentials("bob"));
        assert_ne!(one.credentials("alice"), two.credentials("alice"));
        assert!(!one.credentials("alice").windows(5).any(|window| window == b"alice"));
    }
}
