//! Which bytes may stand where: tokens, targets, field values, authorities. No lines, no state.

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const NAME: u8 = 4;

/// The classes of every byte, so that a look at one is a load and a mask.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    while byte < 0x7f {
        #[expect(clippy::indexing_slicing, reason = "256 entries, a byte as index")]
        {
            table[byte as usize] = class(byte);
        }
        byte += 1;
    }
    table
}

const fn class(byte: u8) -> u8 {
    let alphanumeric = byte.is_ascii_alphanumeric();
    // RFC 9110 §5.6.2.
    let token = alphanumeric
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~');
    // RFC 3986 §2, without `#`; and what browsers leave unescaped in queries although they should not.
    let target = alphanumeric
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'[' | b']' | b'@')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';')
        || matches!(byte, b'=' | b'%' | b'|' | b'{' | b'}' | b'^' | b'\\');
    let name = alphanumeric || matches!(byte, b'-' | b'.' | b'_');
    (if token { TOKEN } else { 0 })
        | (if target { TARGET } else { 0 })
        | (if name { NAME } else { 0 })
}

#[expect(clippy::indexing_slicing, reason = "256 entries, a byte as index")]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many leading bytes are token characters (RFC 9110 §5.6.2).
pub(super) fn token_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is(*byte, TOKEN)).unwrap_or(bytes.len())
}

/// Whether every byte may stand in a request target (RFC 9112 §3.2).
pub(super) fn is_target(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is(*byte, TARGET))
}

/// Whether a field value has a byte that RFC 9110 §5.5 forbids. Looks at all bytes without a branch
/// between them: that is a few vector instructions for most values.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch for every byte")]
pub(super) fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |bad, byte| bad | (*byte < 0x20 && *byte != b'\t') | (*byte == 0x7f))
}

/// Whether this is one host name or address with an optional port (RFC 9112 §3.2): no user, no list, no space.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let Some(host) = host_length(bytes) else { return false };
    match bytes.get(host..) {
        Some([]) => true,
        Some([b':', port @ ..]) => {
            (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit)
        }
        Some(_) | None => false,
    }
}

fn host_length(bytes: &[u8]) -> Option<usize> {
    let Some(inner) = bytes.strip_prefix(b"[") else {
        let length = bytes.iter().take_while(|byte| is(**byte, NAME)).count();
        return (length > 0).then_some(length);
    };
    let length = inner
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    (length > 1 && inner.get(length) == Some(&b']')).then_some(length + 2)
}

/// The value without the white space around it (RFC 9110 §5.6.3), and how much of that stands before it.
pub(super) fn trim(mut value: &[u8]) -> (usize, &[u8]) {
    let mut leading = 0;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
        leading += 1;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    (leading, value)
}

#[cfg(test)]
mod tests {
    use super::{has_control, is_authority, is_target, token_length, trim};

    #[test]
    fn an_authority_is_one_host_with_an_optional_port() {
        for good in ["a", "a.example", "A_b-c.example:8443", "10.0.0.1:1", "[::1]", "[fe80::1]:443"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":443", "a:", "a:b", "a:123456", "a,b", "u@a", "a/b", "a b", "[::1", "[]",
            "[::1]a", "あ",
        ];
        for bad in bad {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn every_byte_is_where_the_standards_put_it() {
        for byte in 0..=255_u8 {
            let text = char::from(byte);
            let token = byte.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(text);
            assert_eq!(token_length(&[byte]) == 1, token, "{byte:#x}");
            let target = byte.is_ascii_graphic() && !"\"#<>`".contains(text);
            assert_eq!(is_target(&[byte]), target, "{byte:#x}");
            let control = byte.is_ascii_control() && byte != b'\t';
            assert_eq!(has_control(&[b'a', byte]), control, "{byte:#x}");
        }
    }

    #[test]
    fn white_space_around_a_value_is_no_part_of_it() {
        assert_eq!(trim(b" \ta b\t "), (2, &b"a b"[..]));
        assert_eq!(trim(b"a"), (0, &b"a"[..]));
        assert_eq!(trim(b" \t "), (3, &b""[..]));
    }
}
