//! Reading protocol buffers from strangers.
//!
//! prost merges duplicate fields and defaults missing ones; on the wire between devices both are tricks, so messages from
//! outside are read here: unknown fields are ignored, a known field that occurs twice or has the wrong type is an error,
//! nothing is allocated for lengths that the bytes do not have.

use super::error::Undecryptable;

/// The most fields in one message; ours have at most six.
const MAX_FIELDS: usize = 16;

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number, which no known field is.
    Fixed,
}

/// The fields of one message, in the order of arrival.
pub(super) struct Fields<'a>(Vec<(u64, Value<'a>)>);

impl<'a> Fields<'a> {
    pub(super) fn parse(mut bytes: &'a [u8]) -> Result<Self, Undecryptable> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            if fields.len() == MAX_FIELDS {
                return Err(Undecryptable);
            }
            let key = varint(&mut bytes)?;
            let value = match key & 7 {
                0 => Value::Varint(varint(&mut bytes)?),
                1 => take(&mut bytes, 8).map(|_| Value::Fixed)?,
                2 => {
                    let length = varint(&mut bytes)?;
                    Value::Bytes(take(&mut bytes, length)?)
                }
                5 => take(&mut bytes, 4).map(|_| Value::Fixed)?,
                // Groups are deprecated and nobody sends them.
                _ => return Err(Undecryptable),
            };
            fields.push((key >> 3, value));
        }
        Ok(Self(fields))
    }

    /// The one number under `tag`.
    pub(super) fn number(&self, tag: u64) -> Result<u32, Undecryptable> {
        match self.only(tag)? {
            Value::Varint(number) => u32::try_from(*number).map_err(|_| Undecryptable),
            _ => Err(Undecryptable),
        }
    }

    /// The one byte string under `tag`.
    pub(super) fn bytes(&self, tag: u64) -> Result<&'a [u8], Undecryptable> {
        match self.only(tag)? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Undecryptable),
        }
    }

    fn only(&self, tag: u64) -> Result<&Value<'a>, Undecryptable> {
        let mut found = self.0.iter().filter(|(t, _)| *t == tag).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Undecryptable),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Undecryptable> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Undecryptable)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if shift == 63 && bits > 1 {
            return Err(Undecryptable);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Undecryptable)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Undecryptable> {
    let length = usize::try_from(length).map_err(|_| Undecryptable)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Undecryptable)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_known_ones_read() {
        // 1: 300, 9: fixed32, 2: "ab", 9 again
        let fields = Fields::parse(&[0x08, 0xac, 0x02, 0x4d, 1, 2, 3, 4, 0x12, 2, b'a', b'b', 0x48, 0]).unwrap();
        assert_eq!(fields.number(1), Ok(300));
        assert_eq!(fields.bytes(2), Ok(&b"ab"[..]));
    }

    #[test]
    fn a_known_field_is_there_once_and_of_its_type() {
        let fields = Fields::parse(&[0x08, 1, 0x08, 1, 0x10, 1]).unwrap();
        assert_eq!(fields.number(1), Err(Undecryptable), "twice");
        assert_eq!(fields.bytes(2), Err(Undecryptable), "a number");
        assert_eq!(fields.number(3), Err(Undecryptable), "missing");
    }

    #[test]
    fn lengths_and_numbers_beyond_the_bytes_are_refused() {
        for bytes in [
            &[0x12, 5, 1, 2][..],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x08],
            &[0x08, 0x80],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            &[0x0b, 0x0c],
            &[0x09, 1, 2],
        ] {
            assert!(Fields::parse(bytes).is_err(), "{bytes:?}");
        }
        let large = Fields::parse(&[0x08, 0x80, 0x80, 0x80, 0x80, 0x10]).unwrap();
        assert_eq!(large.number(1), Err(Undecryptable), "2^32 is no uint32");
        assert!(Fields::parse(&[0x08, 1].repeat(MAX_FIELDS + 1)).is_err(), "too many fields");
    }
}
