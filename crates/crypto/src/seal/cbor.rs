//! As much CBOR (RFC 8949) as a key file needs: unsigned integers, byte strings, arrays, maps with integer keys.
//!
//! Only the deterministic encoding is read (RFC 8949 §4.2.1): shortest lengths, definite lengths, keys ascending, nothing
//! after the end. One value therefore has one encoding, and a file cannot be rewritten without its bytes changing.

use zeroize::Zeroizing;

/// How deep values may nest (security design §6).
const MAX_DEPTH: usize = 8;

const MAJOR_UINT: u8 = 0;
const MAJOR_BYTES: u8 = 2;
const MAJOR_ARRAY: u8 = 4;
const MAJOR_MAP: u8 = 5;

/// One value.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Value {
    Uint(u64),
    Bytes(Zeroizing<Vec<u8>>),
    Array(Vec<Value>),
    Map(Vec<(u64, Value)>),
}

/// These bytes are not the deterministic encoding of one value. There is nothing more to say to a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotCbor;

impl Value {
    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for any key file, so that no half-written copy of a key is left behind by growing.
        let mut out = Zeroizing::new(Vec::with_capacity(4096));
        self.encode_to(&mut out);
        out
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(n) => head(out, MAJOR_UINT, *n),
            Self::Bytes(bytes) => {
                head(out, MAJOR_BYTES, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Array(items) => {
                head(out, MAJOR_ARRAY, items.len() as u64);
                items.iter().for_each(|item| item.encode_to(out));
            }
            Self::Map(entries) => {
                head(out, MAJOR_MAP, entries.len() as u64);
                for (key, value) in entries {
                    head(out, MAJOR_UINT, *key);
                    value.encode_to(out);
                }
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NotCbor> {
        let mut reader = Reader { rest: bytes };
        let value = reader.value(MAX_DEPTH)?;
        if reader.rest.is_empty() { Ok(value) } else { Err(NotCbor) }
    }

    /// Takes the value of `key` out of a map.
    pub(super) fn take(&mut self, key: u64) -> Result<Value, NotCbor> {
        let Self::Map(entries) = self else { return Err(NotCbor) };
        let at = entries.iter().position(|(k, _)| *k == key).ok_or(NotCbor)?;
        Ok(entries.remove(at).1)
    }

    pub(super) fn take_uint(&mut self, key: u64) -> Result<u64, NotCbor> {
        match self.take(key)? {
            Self::Uint(n) => Ok(n),
            _ => Err(NotCbor),
        }
    }

    pub(super) fn take_u32(&mut self, key: u64) -> Result<u32, NotCbor> {
        u32::try_from(self.take_uint(key)?).map_err(|_| NotCbor)
    }

    pub(super) fn take_bytes<const N: usize>(&mut self, key: u64) -> Result<Zeroizing<[u8; N]>, NotCbor> {
        match self.take(key)? {
            Self::Bytes(bytes) => <[u8; N]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| NotCbor),
            _ => Err(NotCbor),
        }
    }

    /// Whether everything in this map has been taken: what is not understood is refused, not ignored.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self, Self::Map(entries) if entries.is_empty())
    }
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let major = major << 5;
    // Each arm is reached only when the number fits, so the narrowing keeps every bit.
    match n {
        0..=23 => out.push(major | n as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, n as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, NotCbor> {
        let depth = depth.checked_sub(1).ok_or(NotCbor)?;
        let (major, n) = self.head()?;
        match major {
            MAJOR_UINT => Ok(Value::Uint(n)),
            MAJOR_BYTES => {
                let length = usize::try_from(n).map_err(|_| NotCbor)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(NotCbor)?;
                self.rest = rest;
                Ok(Value::bytes(bytes))
            }
            // A vector grows only as its items are read, so a huge count in few bytes allocates nothing.
            MAJOR_ARRAY => (0..n).map(|_| self.value(depth)).collect::<Result<_, _>>().map(Value::Array),
            MAJOR_MAP => self.map(n, depth),
            _ => Err(NotCbor),
        }
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<Value, NotCbor> {
        let mut entries: Vec<(u64, Value)> = Vec::new();
        for _ in 0..count {
            let (MAJOR_UINT, key) = self.head()? else { return Err(NotCbor) };
            if entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(NotCbor);
            }
            entries.push((key, self.value(depth)?));
        }
        Ok(Value::Map(entries))
    }

    fn head(&mut self) -> Result<(u8, u64), NotCbor> {
        let [first] = self.take::<1>()?;
        let (major, short) = (first >> 5, first & 0x1f);
        let (n, smallest) = match short {
            0..=23 => (u64::from(short), 0),
            24 => (u64::from(u8::from_be_bytes(self.take()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.take()?)), 0x100),
            26 => (u64::from(u32::from_be_bytes(self.take()?)), 0x1_0000),
            27 => (u64::from_be_bytes(self.take()?), 0x1_0000_0000),
            _ => return Err(NotCbor), // indefinite lengths and reserved values
        };
        if n < smallest { Err(NotCbor) } else { Ok((major, n)) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], NotCbor> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(NotCbor)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_encodings_of_rfc_8949_appendix_a() {
        let cases: [(u64, &[u8]); 8] = [
            (0, &[0x00]),
            (23, &[0x17]),
            (24, &[0x18, 0x18]),
            (100, &[0x18, 0x64]),
            (1000, &[0x19, 0x03, 0xe8]),
            (1_000_000, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            (1_000_000_000_000, &[0x1b, 0x00, 0x00, 0x00, 0xe8, 0xd4, 0xa5, 0x10, 0x00]),
            (u64::MAX, &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (number, bytes) in cases {
            assert_eq!(Value::Uint(number).encode().as_slice(), bytes);
            assert_eq!(Value::decode(bytes), Ok(Value::Uint(number)));
        }
    }

    #[test]
    fn a_nested_value_comes_back() {
        let value = Value::Map(vec![
            (1, Value::bytes(b"key")),
            (300, Value::Array(vec![Value::Uint(7), Value::Map(Vec::new())])),
        ]);
        assert_eq!(Value::decode(&value.encode()), Ok(value));
    }

    #[test]
    fn everything_but_the_deterministic_form_is_refused() {
        let refused: [&[u8]; 11] = [
            b"",
            &[0x18, 0x17],                                           // 23 in two bytes
            &[0x19, 0x00, 0xff],                                     // 255 in three
            &[0x00, 0x00],                                           // something after the end
            &[0x5f, 0x41, 0x00, 0xff],                               // indefinite length
            &[0xa2, 0x02, 0x00, 0x01, 0x00],                         // keys descending
            &[0xa2, 0x01, 0x00, 0x01, 0x00],                         // a key twice
            &[0x44, 0x00],                                           // cut short
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a huge count
            &[0x61, 0x61],                                           // a text string: not needed here
            &[0x20],                                                 // a negative number: not needed here
        ];
        for bytes in refused {
            assert_eq!(Value::decode(bytes), Err(NotCbor), "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |arrays: usize| {
            let mut bytes = vec![0x81; arrays];
            bytes.push(0x00);
            bytes
        };
        assert!(Value::decode(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(Value::decode(&nested(MAX_DEPTH)), Err(NotCbor));
    }
}
