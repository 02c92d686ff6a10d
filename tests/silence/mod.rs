//! What must not be heard: individual numbers anywhere outside the line itself, floods in the ledger, labels that a
//! client could mint. The numbers are synthetic.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use http::Method;
use http::header::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use sekisho::lab::{CHUKAN, KIZON, issue};
use sekisho::standin::{Ask, Content, Speak};

use crate::fixture::{Checkpoint, get_ask};

const NUMBERS: [&str; 7] = [
    "123456789018",
    "111111111118",
    "999999999996",
    "123456789050",
    "123456789140",
    "621498320257",
    "987654321093",
];

/// The ways in which a number is written, as far as the place permits.
fn forms(number: &str) -> Vec<String> {
    let (first, rest) = number.split_at(4);
    let (second, third) = rest.split_at(4);
    let groups = |by: &str| [first, second, third].join(by);
    let encoded: Vec<_> = number.chars().map(|digit| format!("%3{digit}")).collect();
    vec![number.to_owned(), groups("-"), groups("."), groups("_"), encoded.concat()]
}

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen() -> Log {
    let log = Log::default();
    let own = log.clone();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    lines.with_writer(move || own.clone()).with_env_filter("sekisho=trace").init();
    log
}

fn everything_in(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_in(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
}

/// One number in every place where a client can put it; gives what was answered.
async fn tell(site: &Checkpoint, number: &str) -> String {
    let mut answers = String::new();
    for form in forms(number) {
        for (method, host, target) in [
            ("GET", CHUKAN.to_owned(), format!("/exchange/{form}")),
            ("GET", CHUKAN.to_owned(), format!("/private/{form}")),
            ("GET", CHUKAN.to_owned(), format!("/exchange/x?kojin={form}")),
            ("DELETE", CHUKAN.to_owned(), format!("/exchange/x?kojin={form}")),
            ("GET", format!("h{number}.example"), "/exchange/x".to_owned()),
            (&*format!("M{number}"), CHUKAN.to_owned(), "/exchange/x".to_owned()),
        ] {
            let ask = Ask::new(Method::from_bytes(method.as_bytes()).unwrap(), &host, &target)
                .header(HeaderName::from_static("x-number"), HeaderValue::from_str(&form).unwrap());
            let mut connection = site.open(Speak::Http11).await;
            if let Ok(answer) = connection.ask(ask).await {
                answers.push_str(&answer.text);
            }
        }
        for target in ["/exchange/upload", "/private"] {
            let body = Content::Text(form.clone().into_bytes().into());
            let ask = Ask::new(Method::POST, CHUKAN, target).with(body);
            if let Ok(answer) = site.open(Speak::H2).await.ask(ask).await {
                answers.push_str(&answer.text);
            }
        }
        let broken =
            format!("GET /exchange/{form} HTTP/1.0\r\nHost: {form}\r\n{form}: {form}\r\n\r\n");
        answers.push_str(&site.say(broken.as_bytes()).await);
    }
    answers
}

/// The same number in names: of the connection, of the certificate.
async fn introduce(site: &Checkpoint, number: &str) {
    let union = &site.papers.pki.union;
    for name in [
        format!("{number}.union.example"),
        format!("a{}.{}.example", number.split_at(5).0, number.split_at(5).1),
    ] {
        for speak in [Speak::Http11, Speak::H2] {
            let opened = site.existing().open(site.listener(), Some(&name), speak).await;
            if let Ok(mut connection) = opened {
                drop(connection.ask(get_ask("/exchange/x")).await);
            }
        }
        drop(site.existing().open_raw(site.listener(), Some(&name)).await);
        for names in [
            vec![format!("dns:{name}")],
            vec![KIZON.to_owned(), format!("uri:urn:person:{number}")],
        ] {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let shown = issue(union, &names).unwrap();
            let client = site.client((13, 5), Some(&shown));
            let mut connection =
                client.open(site.listener(), Some(CHUKAN), Speak::Http11).await.unwrap();
            drop(connection.ask(get_ask("/exchange/x")).await);
        }
    }
}

#[test]
fn no_individual_number_is_in_ledger_log_metrics_or_refusals() {
    let log = listen();
    let mut site = Checkpoint::new();
    let mut heard = String::new();
    site.run(async {
        for number in NUMBERS {
            heard.push_str(&tell(&site, number).await);
            introduce(&site, number).await;
        }
    });
    heard.push_str(&site.metrics());
    site.stop();
    assert!(site.record.lines().unwrap().len() > 100, "something was recorded");
    for folder in ["ledger", "state"] {
        everything_in(&site.folder.path().join(folder), &mut heard);
    }
    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty(), "something was logged");
    heard.push_str(&String::from_utf8_lossy(&logged));
    for number in NUMBERS {
        for form in forms(number) {
            assert!(!heard.contains(&form), "`{}` was heard:\n{}", form, around(&heard, &form));
        }
    }
}

fn around(heard: &str, form: &str) -> String {
    heard.lines().find(|line| line.contains(form)).unwrap_or_default().to_owned()
}

#[test]
fn nothing_that_a_client_sends_breaks_a_line_or_acts_on_a_terminal() {
    let mut site = Checkpoint::new();
    site.run(async {
        for odd in [
            "\u{1b}[31m",
            "%0d%0a%1b[31m",
            "a\r\n{\"seq\":1}",
            "\u{202e}gnp",
            "%E2%80%AEgnp",
            "\0",
            "\u{85}",
        ] {
            for request in [
                format!(
                    "GET /exchange/{odd} HTTP/1.1\r\nHost: {CHUKAN}\r\nConnection: close\r\n\r\n"
                ),
                format!("GET /private/{odd} HTTP/1.1\r\nHost: {CHUKAN}\r\n\r\n"),
                format!("GET /exchange/x HTTP/1.1\r\nHost: {odd}.example\r\n\r\n"),
                format!("{odd} /exchange/x HTTP/1.1\r\nHost: {CHUKAN}\r\n\r\n"),
            ] {
                drop(site.say(request.as_bytes()).await);
            }
        }
    });
    site.stop();
    let mut text = String::new();
    // The lines: the hashes beside them are bytes of any kind.
    for file in fs::read_dir(site.folder.path().join("ledger")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let lines = site.record.lines().unwrap();
    assert!(lines.iter().filter(|line| line.kind == "refused").count() >= 20);
    assert_eq!(site.record.gaps().unwrap(), 0, "every line is an entry");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'));
}

#[test]
fn a_flood_of_strangers_is_counted_not_listed() {
    const FLOOD: u64 = 1000;
    let mut site = Checkpoint::new();
    site.run(async {
        let stranger = site.client((99, 9), None);
        for _ in 0..FLOOD {
            let mut stream = stranger.open_tcp(site.listener()).await.unwrap();
            let mut heard = Vec::new();
            drop(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await);
            assert_eq!(heard, b"");
        }
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200, "a permitted neighbour was not hurt");
    });
    let counted = "sekisho_denials_total{reason=\"unknown_source\",stage=\"arrival\"}";
    assert_eq!(site.metric(counted), "1000");
    site.stop();
    let lines = site.record.lines().unwrap();
    let listed =
        lines.iter().filter(|line| line.is("refused", Some("unknown_source"))).count() as u64;
    let summaries = lines.iter().filter(|line| line.is("summary", Some("unknown_source")));
    let summed: u64 = summaries.map(|line| line.entry["facts"]["count"].as_u64().unwrap()).sum();
    assert!(listed <= 40, "{listed} entries in at most two minutes");
    assert_eq!(listed + summed, FLOOD, "none was lost");
    assert_eq!(site.record.gaps().unwrap(), 0);
}

#[test]
fn whatever_names_clients_ask_for_the_series_stay_the_same() {
    const NAMES: u32 = 20_000;
    let site = Checkpoint::limited("connections_per_source: 10000");
    let series = |text: &str| text.lines().filter(|line| line.starts_with("sekisho_")).count();
    let hello = |name: String| {
        let config = rustls::ClientConfig::builder_with_provider(sekisho::tls::provider());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config =
            config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    };
    // One hello, in which the name is replaced: what a hello costs its maker is not what is tried here.
    let template = hello("n00000000.example".to_owned());
    let at = template.windows(17).position(|window| window == b"n00000000.example").unwrap();
    site.run(async {
        let opened = site.existing().open_raw(site.listener(), Some("n.example")).await;
        assert!(opened.is_err());
    });
    let before = series(&site.metrics());
    site.run(async {
        let client = site.existing();
        let mut waiting = std::collections::VecDeque::new();
        for number in 0..NAMES {
            let mut bytes = template.clone();
            bytes[at + 1..at + 9].copy_from_slice(
                format!("{:08}", u64::from(number) * 4_999 % 100_000_000).as_bytes(),
            );
            let mut stream = client.open_tcp(site.listener()).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await.unwrap();
            waiting.push_back(stream);
            if waiting.len() > 64 {
                end(waiting.pop_front().unwrap()).await;
            }
        }
        for stream in waiting {
            end(stream).await;
        }
    });
    let counted = "sekisho_denials_total{reason=\"unknown_destination\",stage=\"hello\"}";
    let counted = |text: &str| crate::fixture::value(text, counted);
    let all = Some((NAMES + 1).to_string());
    // The last client sees the end a moment before the worker has counted it.
    for _ in 0..500 {
        if counted(&site.metrics()) == all {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let text = site.metrics();
    assert_eq!(series(&text), before);
    assert_eq!(counted(&text), all);
    assert!(!text.contains("n0"), "no name of a client is in the metrics");
}

async fn end(mut stream: tokio::net::TcpStream) {
    let mut heard = Vec::new();
    drop(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await);
}
