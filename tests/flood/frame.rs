//! HTTP/2 frames as a hostile client writes them: by hand, in any order (RFC 9113 §4.1, RFC 7541 §6).

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const NONE: u8 = 0;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface and settings; `window` is what each stream may be sent at first.
pub(crate) fn opening(window: u32) -> Vec<u8> {
    let mut settings = vec![0, 4];
    settings.extend(window.to_be_bytes());
    [PREFACE, &frame(SETTINGS, NONE, 0, &settings)].concat()
}

/// The fields of a request for `path`, nothing indexed by name or value beyond the static table.
pub(crate) fn fields(method: &str, path: &str) -> Vec<u8> {
    let mut fields = vec![0x87];
    for (index, value) in [(0x02, method), (0x04, path), (0x01, "chukan.center.example")] {
        fields.push(index);
        string(&mut fields, value.as_bytes());
    }
    fields
}

/// A field that no table has.
pub(crate) fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    string(&mut field, name.as_bytes());
    string(&mut field, value);
    field
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    // An integer of seven bits, continued (RFC 7541 §5.1).
    if text.len() < 127 {
        out.push(u8::try_from(text.len()).unwrap());
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    out.extend(text);
}

pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields("GET", path))
}

/// A request whose body is still to come.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &fields("POST", "/exchange/upload"))
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, NONE, stream, &8u32.to_be_bytes())
}

/// The number of the client's stream `index`.
pub(crate) const fn odd(index: u32) -> u32 {
    index * 2 + 1
}
