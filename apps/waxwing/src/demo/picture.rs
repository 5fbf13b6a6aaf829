//! A picture to send: a PNG made from numbers, different in every run, so that its bytes occur nowhere else.

/// Side of the square, in pixels.
const SIDE: u32 = 96;
/// Longest stored block of DEFLATE (RFC 1951 §3.2.4).
const STORED_MAX: usize = 65_535;

/// Draws the picture that belongs to a seed.
pub(super) fn draw(seed: u64) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]); // 8 bits, red green blue
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &zlib_stored(&pixels(seed)));
    chunk(&mut png, b"IEND", &[]);
    png
}

/// Rings of colour with some noise in them.
fn pixels(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut noise = move || {
        // Marsaglia's xorshift64; nothing depends on its quality.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let mut rows = Vec::new();
    for y in 0..SIDE {
        rows.push(0); // no filter
        for x in 0..SIDE {
            let (dx, dy) = (x.abs_diff(SIDE / 2), y.abs_diff(SIDE / 2));
            let ring = (dx * dx + dy * dy) / 24;
            rows.extend([ring as u8 ^ (noise() & 31), (x * 2) as u8 ^ (noise() & 31), (y * 2) as u8 ^ (noise() & 31)]);
        }
    }
    rows
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    let body = [kind.as_slice(), content].concat();
    png.extend(u32::try_from(content.len()).unwrap_or(0).to_be_bytes());
    png.extend(&body);
    png.extend(crc32(&body).to_be_bytes());
}

/// zlib without compression (RFC 1950, RFC 1951 §3.2.4).
fn zlib_stored(content: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = content.chunks(STORED_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(content).to_be_bytes());
    stream
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

/// The checksum of PNG §5.5.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_specifications() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn it_is_a_picture_and_every_run_has_its_own() {
        let picture = draw(7);
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.ends_with(&[0xae, 0x42, 0x60, 0x82]));
        assert_eq!(pixels(7).len(), (SIDE * (SIDE * 3 + 1)) as usize);
        assert_eq!(draw(7), picture);
        assert_ne!(draw(9), picture);
    }
}
