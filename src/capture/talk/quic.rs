//! QUIC, recognised by its long header. What is inside an initial packet is not read.

/// The version of a first QUIC packet (RFC 9000 §17.2, RFC 9369, the drafts before them).
pub(in crate::capture) fn quic_version(payload: &[u8]) -> Option<u32> {
    let ([first, a, b, c, d, connection], rest) = payload.split_first_chunk::<6>()?;
    let version = u32::from_be_bytes([*a, *b, *c, *d]);
    let known = matches!(version, 1 | 0x6b33_43cf | 0xff00_0010..=0xff00_0022);
    let fits = *connection <= 20 && rest.len() > usize::from(*connection) + 1;
    (first & 0xc0 == 0xc0 && known && fits).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::quic_version;

    #[test]
    fn a_long_header_with_a_known_version_is_quic() {
        let packet = [0xc3, 0, 0, 0, 1, 2, 7, 7, 0, 0, 0];
        assert_eq!(quic_version(&packet), Some(1));
        assert_eq!(quic_version(&[0x43, 0, 0, 0, 1, 2, 7, 7, 0, 0, 0]), None, "a short header");
        assert_eq!(quic_version(&[0xc3, 0, 0, 0, 9, 2, 7, 7, 0, 0, 0]), None, "an unknown version");
        assert_eq!(quic_version(&[0xc3, 0, 0, 0, 1, 21, 7, 7]), None, "an identifier too long");
    }
}
