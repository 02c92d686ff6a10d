//! A table of what smugglers send, each with its violation, and of what must pass.

use super::{HEAD_MAX, Outcome, chunked, run};
use crate::proxy::wire::{FIELDS_MAX, Place, Violation, Violation as V};

/// Each refused at its head; `~` stands for a line's end and a good `Host` line.
const HEADS: &[(&str, Violation)] = &[
    // A smuggler's classics.
    ("POST / HTTP/1.1~Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", V::LengthAndCoding),
    ("POST / HTTP/1.1~Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", V::LengthAndCoding),
    ("POST / HTTP/1.1~Content-Length: 4\r\nContent-Length: 4\r\n\r\n", V::LengthRepeated),
    ("POST / HTTP/1.1~Content-Length: 4\r\nContent-Length: 5\r\n\r\n", V::LengthRepeated),
    ("POST / HTTP/1.1~Content-Length: 4, 4\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: +4\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: -4\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: 0x4\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: 04\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: 4 4\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length:\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content-Length: 18446744073709551616\r\n\r\n", V::LengthForm),
    ("POST / HTTP/1.1~Content_Length: 4\r\n\r\n", V::FieldName),
    ("POST / HTTP/1.1~Transfer_Encoding: chunked\r\n\r\n", V::FieldName),
    ("POST / HTTP/1.1~Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: xchunked\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: identity\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: gzip, chunked\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: chunked, chunked\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: \"chunked\"\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding: chunked;q=1\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding:\r\n\r\n", V::Coding),
    ("POST / HTTP/1.1~Transfer-Encoding:\x0bchunked\r\n\r\n", V::Control),
    ("POST / HTTP/1.1~Transfer-Encoding : chunked\r\n\r\n", V::SpaceBeforeColon),
    ("POST / HTTP/1.1~Transfer-Encoding\t: chunked\r\n\r\n", V::SpaceBeforeColon),
    ("POST / HTTP/1.1~ Transfer-Encoding: chunked\r\n\r\n", V::Fold),
    ("POST / HTTP/1.1~X: a\r\n Transfer-Encoding: chunked\r\n\r\n", V::Fold),
    ("POST / HTTP/1.1~X: a\r\n\tb\r\n\r\n", V::Fold),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", V::Fold),
    ("POST / HTTP/1.0~Transfer-Encoding: chunked\r\n\r\n", V::Version),
    ("GET / HTTP/1.0~\r\n", V::Version),
    ("GET / HTTP/1.2~\r\n", V::Version),
    ("GET / HTTP/2.0~\r\n", V::Version),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", V::Version),
    ("GET /\r\n\r\n", V::RequestLine),
    ("GET / http/1.1~\r\n", V::RequestLine),
    ("GET / HTTP/1.1 ~\r\n", V::RequestLine),
    ("GET  / HTTP/1.1~\r\n", V::RequestLine),
    ("GET /  HTTP/1.1~\r\n", V::RequestLine),
    ("GET / x HTTP/1.1~\r\n", V::RequestLine),
    ("GET\t/\tHTTP/1.1~\r\n", V::RequestLine),
    (" GET / HTTP/1.1~\r\n", V::Method),
    ("\r\nGET / HTTP/1.1~\r\n", V::RequestLine),
    ("G@T / HTTP/1.1~\r\n", V::RequestLine),
    ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1~\r\n", V::Method),
    // Lines.
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", V::BareLineFeed),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", V::BareLineFeed),
    ("GET / HTTP/1.1~\n", V::BareLineFeed),
    ("GET / HTTP/1.1~X: a\nContent-Length: 9\r\n\r\n", V::BareLineFeed),
    ("GET / HTTP/1.1~X: a\rContent-Length: 9\r\n\r\n", V::BareCarriageReturn),
    ("GET / HTTP/1.1~X: a\r\r\n\r\n", V::BareCarriageReturn),
    ("GET / HTTP/1.1~\r\r\n", V::BareCarriageReturn),
    ("GET / HTTP/1.1~X: a\0b\r\n\r\n", V::Control),
    ("GET / HTTP/1.1~X: a\x7f\r\n\r\n", V::Control),
    ("GET / HTTP/1.1~X\0: a\r\n\r\n", V::FieldName),
    ("GET / HTTP/1.1~X\r\n\r\n", V::FieldName),
    ("GET / HTTP/1.1~: a\r\n\r\n", V::FieldName),
    ("GET / HTTP/1.1~X y: a\r\n\r\n", V::SpaceBeforeColon),
    ("GET / HTTP/1.1~あ: a\r\n\r\n", V::FieldName),
    // Targets and hosts.
    ("GET /あ HTTP/1.1~\r\n", V::Target),
    ("GET /a\0 HTTP/1.1~\r\n", V::Target),
    ("GET /a#b HTTP/1.1~\r\n", V::Target),
    ("GET /<a> HTTP/1.1~\r\n", V::Target),
    ("GET a HTTP/1.1~\r\n", V::Target),
    ("GET * HTTP/1.1~\r\n", V::Target),
    ("GET a:443 HTTP/1.1~\r\n", V::Target),
    ("GET http://a/ HTTP/1.1~\r\n", V::Target),
    ("GET https://a HTTP/1.1~\r\n", V::Target),
    ("GET https://u@a/ HTTP/1.1~\r\n", V::Target),
    ("GET https:///x HTTP/1.1~\r\n", V::Target),
    ("GET https://b/ HTTP/1.1~\r\n", V::HostDiffers),
    ("GET https://a:443/ HTTP/1.1~\r\n", V::HostDiffers),
    ("CONNECT / HTTP/1.1~\r\n", V::Target),
    ("CONNECT b HTTP/1.1~\r\n", V::HostDiffers),
    ("CONNECT a HTTP/1.1~Content-Length: 3\r\n\r\n", V::ConnectBody),
    ("CONNECT a HTTP/1.1~Content-Length: 0\r\n\r\n", V::ConnectBody),
    ("CONNECT a HTTP/1.1~Transfer-Encoding: chunked\r\n\r\n", V::ConnectBody),
    ("GET / HTTP/1.1\r\n\r\n", V::HostMissing),
    ("GET https://a/ HTTP/1.1\r\n\r\n", V::HostMissing),
    ("GET / HTTP/1.1~Host: a\r\n\r\n", V::HostRepeated),
    ("GET / HTTP/1.1~hOST: b\r\n\r\n", V::HostRepeated),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", V::HostForm),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", V::HostForm),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", V::HostForm),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", V::HostForm),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", V::HostForm),
    ("GET / HTTP/1.1~Expect: 200-ok\r\n\r\n", V::Expectation),
    ("GET / HTTP/1.1~Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", V::Expectation),
];

#[test]
fn what_two_readers_could_frame_differently_is_refused_by_its_name() {
    for (text, violation) in HEADS {
        check_head(text, *violation);
    }
}

#[test]
fn a_head_has_bounds() {
    let many = "x: y\r\n".repeat(FIELDS_MAX);
    let long = "a".repeat(HEAD_MAX);
    check_head(&format!("GET / HTTP/1.1~{many}\r\n"), V::TooManyFields);
    check_head(&format!("GET /{long} HTTP/1.1~\r\n"), V::HeadTooLarge);
    check_head(&format!("GET / HTTP/1.1~X: {long}\r\n\r\n"), V::HeadTooLarge);
    check_head(&long, V::HeadTooLarge);
}

/// Alone; and behind another request, shown one byte at a time.
fn check_head(text: &str, violation: Violation) {
    let text = text.replace('~', "\r\nHost: a\r\n");
    let due = Outcome { released: Vec::new(), breach: Some((violation, Place::Head)) };
    assert_eq!(run(text.as_bytes(), &[]), due, "{text:?}");
    let first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = format!("{first}{text}");
    let due = Outcome { released: first.into(), ..due };
    assert_eq!(run(both.as_bytes(), &(0..both.len()).collect::<Vec<_>>()), due, "{text:?}");
}

#[test]
fn a_chunk_that_two_readers_could_read_differently_is_refused_by_its_name() {
    let full = format!("0\r\nX: {}\r\n\r\n", "a".repeat(9000));
    let many = format!("0\r\n{}\r\n", "X: a\r\n".repeat(33));
    let table: &[(&str, &str, Violation)] = &[
        ("", "3;x=y\r\nabc\r\n", V::ChunkExtension),
        ("", "3 \r\nabc\r\n", V::ChunkExtension),
        ("", "3\nabc\r\n", V::BareLineFeed),
        ("", "3\rabc\r\n", V::BareCarriageReturn),
        ("", "\r\n3\r\nabc\r\n", V::ChunkSize),
        ("", " 3\r\nabc\r\n", V::ChunkSize),
        ("", "0x3\r\nabc\r\n", V::ChunkSize),
        ("", "+3\r\nabc\r\n", V::ChunkSize),
        ("", "g\r\n", V::ChunkSize),
        ("", "0000000000000003\r\nabc\r\n", V::ChunkSize),
        ("", "ffffffffffffffff\r\n", V::ChunkSize),
        ("3\r\nabc", "d\r\n0\r\n\r\n", V::ChunkEnd),
        ("3\r\nabc", "\n0\r\n\r\n", V::ChunkEnd),
        ("3\r\nabc", "\r3\r\n", V::ChunkEnd),
        ("3\r\nabc\r\n", "-1\r\n", V::ChunkSize),
        ("0\r\n", "\n", V::BareLineFeed),
        ("0\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\n", "Content-Length: 3\r\n\r\n", V::TrailerName),
        ("0\r\n", "X: y\r\nTransfer-Encoding: chunked\r\n\r\n", V::TrailerName),
        ("0\r\n", "Transfer_encoding: chunked\r\n\r\n", V::TrailerName),
        ("0\r\n", "HOST: b\r\n\r\n", V::TrailerName),
        ("0\r\n", "X: y\n\r\n", V::BareLineFeed),
        ("0\r\n", " X: y\r\n\r\n", V::Fold),
        ("0\r\n", "X : y\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\n", "X: \0\r\n\r\n", V::Control),
        ("0\r\n", full.strip_prefix("0\r\n").unwrap(), V::TrailerTooLarge),
        ("0\r\n", many.strip_prefix("0\r\n").unwrap(), V::TrailerTooLarge),
    ];
    for (good, bad, violation) in table {
        let good = chunked(good);
        let due = Outcome {
            released: good.clone().into_bytes(),
            breach: Some((*violation, Place::Body)),
        };
        let stream = format!("{good}{bad}");
        assert_eq!(run(stream.as_bytes(), &[]), due, "{bad:?}");
        assert_eq!(run(stream.as_bytes(), &(0..stream.len()).collect::<Vec<_>>()), due, "{bad:?}");
    }
}

#[test]
fn what_well_behaved_clients_send_passes_whole() {
    let table = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /a?b=[c]&d={e}|f HTTP/1.1\r\nhost:\ta.example:8443 \r\nAccept:\r\nX: \u{3042}\tb\r\n\r\n".into(),
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n".into(),
        "GET https://A.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n".into(),
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(),
        chunked("3\r\nabc\r\n1A\r\n0123456789abcdef0123456789\r\n0\r\n\r\n").replace("chunked", "Chunked"),
        chunked("0\r\nX-Digest: abc\r\n\r\n"),
    ];
    for text in &table {
        let due = Outcome { released: text.clone().into_bytes(), breach: None };
        assert_eq!(run(text.as_bytes(), &[]), due, "{text:?}");
    }
    let all = table.concat();
    assert_eq!(run(all.as_bytes(), &[]).released, all.as_bytes());
}

#[test]
fn a_head_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    for (size, passes) in [(HEAD_MAX, true), (HEAD_MAX + 1, false)] {
        let filler = "x".repeat(size - frame.len());
        let text = frame.replace("X: ", &format!("X: {filler}"));
        let outcome = run(text.as_bytes(), &[]);
        assert_eq!(outcome.released.len() == size, passes);
        assert_eq!(outcome.breach.is_none(), passes);
    }
}
