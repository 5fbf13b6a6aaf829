//! The header with which a load balancer says for whom it connects (PROXY protocol, version 2).
//!
//! Read only on connections from addresses that the operator has listed, and required there: anybody else could write any
//! address into it. Deliberately absent: version 1, datagrams, and what follows the addresses, which is skipped.
//!
//! Source: proxy-protocol.txt §2.2 (HAProxy).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The part of every header that says how long the rest is.
const FIXED: usize = 16;

/// The longest rest that is taken. A header fits into one packet of the smallest size that IPv4 and TCP promise.
const REST_MAX: usize = 536 - FIXED;

/// Whom a proxy connects for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody at this address.
    Address(IpAddr),
    /// Itself, or somebody whose address it does not know.
    Proxy,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address(_) => "Address(<redacted>)",
            Self::Proxy => "Proxy",
        })
    }
}

/// What was sent is no header of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHeader;

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the proxy did not send a PROXY header of version 2: switch it on there, or take the proxy off the list",
        )
    }
}

impl std::error::Error for BadHeader {}

/// Reads the fixed part: what is to be done with the rest, and its length in bytes.
fn parse_fixed(fixed: [u8; FIXED]) -> Result<(Family, usize), BadHeader> {
    let (signature, [version_command, family, high, low]) = fixed.split_last_chunk::<4>().ok_or(BadHeader)?;
    if signature != SIGNATURE {
        return Err(BadHeader);
    }
    let rest = usize::from(u16::from_be_bytes([*high, *low]));
    if rest > REST_MAX {
        return Err(BadHeader);
    }
    let family = match (version_command, family) {
        // LOCAL: the family is ignored. UNSPEC: it does not know.
        (0x20, _) | (0x21, 0x00) => Family::None,
        (0x21, 0x11) => Family::V4,
        (0x21, 0x21) => Family::V6,
        _ => return Err(BadHeader),
    };
    Ok((family, rest))
}

/// Which addresses follow.
#[derive(Clone, Copy)]
enum Family {
    None,
    V4,
    V6,
}

/// Reads what follows the fixed part: source and destination address, their ports, and more that is skipped.
fn parse_rest(family: Family, rest: &[u8]) -> Result<Origin, BadHeader> {
    match family {
        Family::None => Ok(Origin::Proxy),
        Family::V4 => {
            let addresses = rest.first_chunk::<12>().ok_or(BadHeader)?;
            let source = addresses.first_chunk::<4>().ok_or(BadHeader)?;
            Ok(Origin::Address(Ipv4Addr::from(*source).into()))
        }
        Family::V6 => {
            let addresses = rest.first_chunk::<36>().ok_or(BadHeader)?;
            let source = addresses.first_chunk::<16>().ok_or(BadHeader)?;
            Ok(Origin::Address(IpAddr::from(Ipv6Addr::from(*source)).to_canonical()))
        }
    }
}

/// Reads a header from the beginning of `bytes`, and returns its length too.
///
/// # Errors
///
/// [`BadHeader`], also when the header is not complete.
pub fn parse(bytes: &[u8]) -> Result<(Origin, usize), BadHeader> {
    let (family, rest) = parse_fixed(*bytes.first_chunk::<FIXED>().ok_or(BadHeader)?)?;
    let rest_bytes = bytes.get(FIXED..FIXED + rest).ok_or(BadHeader)?;
    Ok((parse_rest(family, rest_bytes)?, FIXED + rest))
}

/// Reads a header from a connection, and not a byte more.
///
/// # Errors
///
/// What the connection says; `InvalidData` for what is no header.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let bad = |error: BadHeader| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await?;
    let (family, rest) = parse_fixed(fixed).map_err(bad)?;
    let mut bytes = vec![0; rest];
    stream.read_exact(&mut bytes).await?;
    parse_rest(family, &bytes).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, rest].concat()
    }

    fn v4() -> Vec<u8> {
        vec![203, 0, 114, 9, 192, 0, 2, 1, 0xdc, 0x04, 0x14, 0x66]
    }

    #[test]
    fn headers_name_the_source() {
        let v6 = [&Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 7).octets()[..], &[1; 20]].concat();
        let mapped = [&Ipv4Addr::new(203, 0, 114, 9).to_ipv6_mapped().octets()[..], &[1; 20]].concat();
        let with_more = [v4(), vec![4, 0, 2, 9, 9]].concat();
        let source = |text: &str| Origin::Address(text.parse().expect("an address"));
        for (bytes, origin) in [
            (header(0x21, 0x11, &v4()), source("203.0.114.9")),
            (header(0x21, 0x11, &with_more), source("203.0.114.9")),
            (header(0x21, 0x21, &v6), source("2a00::7")),
            (header(0x21, 0x21, &mapped), source("203.0.114.9")),
            (header(0x21, 0x00, &[7; 9]), Origin::Proxy),
            (header(0x20, 0x11, &v4()), Origin::Proxy),
            (header(0x20, 0x00, &[]), Origin::Proxy),
        ] {
            let followed = [&bytes[..], b"<stream"].concat();
            assert_eq!(parse(&followed), Ok((origin, bytes.len())));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let whole = header(0x21, 0x11, &v4());
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Err(BadHeader), "cut at {cut}");
        }
        for bad in [
            header(0x11, 0x11, &v4()),
            header(0x22, 0x11, &v4()),
            header(0x21, 0x12, &v4()),
            header(0x21, 0x31, &[0; 216]),
            header(0x21, 0x41, &v4()),
            header(0x21, 0x21, &v4()),
            header(0x21, 0x11, &v4()[..11]),
            header(0x21, 0x00, &[0; REST_MAX + 1]),
            b"PROXY TCP4 203.0.114.9 192.0.2.1 56324 5222\r\n".to_vec(),
            b"<?xml version='1.0'?><stream:stream".to_vec(),
        ] {
            assert_eq!(parse(&bad), Err(BadHeader), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn not_a_byte_more_is_read() {
        let bytes = [&header(0x21, 0x11, &v4())[..], b"<stream"].concat();
        let mut left = &bytes[..];
        assert_eq!(read(&mut left).await.expect("a header"), Origin::Address([203, 0, 114, 9].into()));
        assert_eq!(left, b"<stream");
    }
}
