//! The header of a load balancer (PROXY protocol, version 2).

use net::proxy_header::{Origin, parse};

/// Parses bytes as a header; what is accepted is whole, and as long as it says.
///
/// # Panics
///
/// When it is not.
pub fn proxy(data: &[u8]) {
    let Ok((origin, length)) = parse(data) else { return };
    let header = data.get(..length).expect("a header is not longer than what was there");
    assert_eq!(parse(header), Ok((origin, length)), "what follows is not looked at");
    assert!(parse(&header[..length - 1]).is_err(), "a part of a header is none");
    if let Origin::Address(address) = origin {
        assert_eq!(address, address.to_canonical());
    }
}

/// A header for each kind of address.
pub fn proxy_seeds() -> Vec<Vec<u8>> {
    let header = |family: u8, rest: &[u8]| {
        let length = u8::try_from(rest.len()).expect("short");
        [b"\r\n\r\n\0\r\nQUIT\n", &[0x21, family, 0, length][..], rest].concat()
    };
    vec![
        header(0x11, &[203, 0, 114, 9, 192, 0, 2, 1, 0, 9, 0, 9]),
        header(0x21, &[0x2a; 36]),
        header(0x00, &[]),
        header(0x11, &[1; 30]),
    ]
}
