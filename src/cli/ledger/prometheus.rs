//! The heads that Prometheus scraped, as witnesses: a plain HTTP GET of its query API. No TLS; where Prometheus is
//! only reachable over TLS, put its answer in reach with a tunnel.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Deserialize;

use super::Trouble;
use crate::ledger::verify::{Held, Witness};

const PATIENCE: Duration = Duration::from_secs(30);
/// An answer that is longer is not read to its end.
const ANSWER_MAX: u64 = 256 << 20;
const SIZE: &str = "sekisho_ledger_checkpoint_entries";
const HEAD: &str = "sekisho_ledger_head";

/// What is asked: where, of which box, how far back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// `http://HOST:PORT`, with a path where Prometheus has one.
    pub(super) url: &'a str,
    /// The box, by its `instance` label; where `None`, there must be one only.
    pub(super) instance: Option<&'a str>,
    /// How far back, as Prometheus writes durations.
    pub(super) range: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

/// One series: labels, and its samples as moment and text.
#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Every different head that was scraped.
pub(super) fn witnesses(question: Question<'_>) -> Result<Vec<Witness>, Trouble> {
    let series = [ask(question, SIZE)?, ask(question, HEAD)?].concat_series();
    let instance = of_one(&series, question.instance)?;
    let of_one: Vec<_> = series.iter().filter(|series| series.instance() == instance).collect();
    Ok(heads(&of_one))
}

trait Concatenate {
    fn concat_series(self) -> Vec<Series>;
}

impl Concatenate for [Vec<Series>; 2] {
    fn concat_series(self) -> Vec<Series> {
        self.into_iter().flatten().collect()
    }
}

impl Series {
    fn instance(&self) -> &str {
        self.label("instance")
    }

    fn label(&self, name: &str) -> &str {
        self.metric.get(name).map_or("", String::as_str)
    }
}

/// Heads of two boxes would look like two histories of one.
fn of_one<'a>(series: &'a [Series], asked: Option<&'a str>) -> Result<&'a str, Trouble> {
    let instances: BTreeSet<_> = series.iter().map(Series::instance).collect();
    let list = || instances.iter().copied().collect::<Vec<_>>().join("` `");
    match (asked, instances.first(), instances.len()) {
        (Some(asked), _, _) if instances.contains(asked) => Ok(asked),
        (Some(asked), _, _) => {
            Err(format!("Prometheus has no head of instance `{asked}`; it has `{}`", list()))
        }
        (None, Some(only), 1) => Ok(only),
        (None, _, 0) => Err(format!("Prometheus has no sample of `{SIZE}`")),
        (None, _, _) => {
            Err(format!("Prometheus has heads of `{}`; choose one by `--instance`", list()))
        }
    }
}

/// Samples of one scrape have one moment; what a scrape did not bring whole is left out.
fn heads(series: &[&Series]) -> Vec<Witness> {
    let mut scrapes: BTreeMap<u64, [Option<u64>; 4]> = BTreeMap::new();
    for series in series {
        let place = match (series.label("__name__"), series.label("part")) {
            (SIZE, _) => 3,
            (HEAD, "0") => 0,
            (HEAD, "1") => 1,
            (HEAD, "2") => 2,
            _ => continue,
        };
        for (moment, value) in &series.values {
            let scrape = scrapes.entry(moment.to_bits()).or_default();
            if let Some(slot) = scrape.get_mut(place) {
                *slot = whole(value);
            }
        }
    }
    let heads: BTreeSet<_> = scrapes.into_values().filter_map(head).collect();
    let named = |(size, start)| Witness {
        name: format!("prometheus, {size} entries"),
        size,
        root: Held::Start(start),
    };
    heads.into_iter().map(named).collect()
}

/// The size and the first 18 bytes of its root, of three parts with 48 bits each.
fn head(scrape: [Option<u64>; 4]) -> Option<(u64, [u8; 18])> {
    let [Some(first), Some(second), Some(third), Some(size)] = scrape else { return None };
    let parts = [first, second, third].map(|part| {
        let [_, _, bytes @ ..] = part.to_be_bytes();
        bytes
    });
    Some((size, parts.concat().try_into().ok()?)).filter(|(size, _)| *size > 0)
}

/// A sample that is a whole number, exactly.
fn whole(value: &str) -> Option<u64> {
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    // Large ones may come as `1.5e+14`; below 2^53 a double is exact.
    let number: f64 = value.parse().ok()?;
    let fits = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    fits.then(|| format!("{number:.0}").parse().ok())?
}

fn ask(question: Question<'_>, metric: &str) -> Result<Vec<Series>, Trouble> {
    let Question { url, range, .. } = question;
    let body = get(url, &format!("/api/v1/query?query={metric}%5B{range}%5D"))?;
    let unlike = |error| format!("`{url}` does not answer as Prometheus does: {error}");
    let answer: Answer = serde_json::from_slice(&body).map_err(unlike)?;
    match answer.data {
        Some(data) if answer.status == "success" => Ok(data.result),
        Some(_) | None => Err(format!("Prometheus says: {}", answer.error)),
    }
}

/// The body of the answer. HTTP/1.0, so that it comes in one piece and the connection ends with it.
fn get(url: &str, path: &str) -> Result<Vec<u8>, Trouble> {
    let trouble = |error: std::io::Error| format!("cannot reach `{url}`: {error}");
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        format!("`{url}` does not begin with `http://`; other ways to Prometheus are not spoken")
    })?;
    let (host, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut found = address.to_socket_addrs().map_err(trouble)?;
    let address = found.next().ok_or_else(|| format!("`{host}` has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(trouble)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(trouble)?;
    let base = base.trim_end_matches('/');
    let ask =
        format!("GET {base}{path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(ask.as_bytes()).map_err(trouble)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).map_err(trouble)?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head = head.ok_or_else(|| format!("`{url}` does not speak HTTP"))?;
    Ok(answer.split_off(head + 4))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::{Held, Question, whole, witnesses};

    /// A Prometheus of two answers: the sizes, then the parts.
    fn prometheus(answers: [String; 2]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/prometheus/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    asked.extend(byte);
                }
                let asked = String::from_utf8(asked).unwrap();
                assert!(
                    asked.starts_with("GET /prometheus/api/v1/query?query=sekisho_ledger_"),
                    "{asked}"
                );
                write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{answer}")
                    .unwrap();
            }
        });
        url
    }

    /// Name, part, instance, samples.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [(u32, &'a str)]);

    fn answer(series: &[Row<'_>]) -> String {
        let series: Vec<_> = series
            .iter()
            .map(|(name, part, instance, values)| {
                serde_json::json!({
                    "metric": {"__name__": name, "part": part, "instance": instance},
                    "values": values,
                })
            })
            .collect();
        serde_json::json!({"status": "success", "data": {"resultType": "matrix", "result": series}})
            .to_string()
    }

    fn asked<'a>(url: &'a str, instance: Option<&'a str>) -> Question<'a> {
        Question { url, instance, range: "1d" }
    }

    #[test]
    fn the_parts_of_one_scrape_are_one_head() {
        let sizes = || {
            answer(&[("sekisho_ledger_checkpoint_entries", "", "a:1", &[(100, "7"), (115, "9")])])
        };
        let parts = answer(&[
            ("sekisho_ledger_head", "0", "a:1", &[(100, "1"), (115, "2.81474976710655e+14")]),
            ("sekisho_ledger_head", "1", "a:1", &[(100, "2"), (115, "0")]),
            ("sekisho_ledger_head", "2", "a:1", &[(100, "258")]),
        ]);
        let url = prometheus([sizes(), parts]);
        let found = witnesses(asked(&url, None)).unwrap();
        let [only] = &found[..] else { panic!("{found:?}") };
        let start = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2];
        assert_eq!((only.size, only.root), (7, Held::Start(start)));
    }

    #[test]
    fn heads_of_several_boxes_are_never_mixed() {
        let sizes = || {
            answer(&[
                ("sekisho_ledger_checkpoint_entries", "", "a:1", &[(100, "7")]),
                ("sekisho_ledger_checkpoint_entries", "", "b:1", &[(100, "8")]),
            ])
        };
        let url = prometheus([sizes(), answer(&[])]);
        assert_eq!(
            witnesses(asked(&url, None)).unwrap_err(),
            "Prometheus has heads of `a:1` `b:1`; choose one by `--instance`"
        );
        let url = prometheus([sizes(), answer(&[])]);
        assert_eq!(witnesses(asked(&url, Some("b:1"))).unwrap(), [], "no part came");
        let url = prometheus([answer(&[]), answer(&[])]);
        assert_eq!(
            witnesses(asked(&url, None)).unwrap_err(),
            "Prometheus has no sample of `sekisho_ledger_checkpoint_entries`"
        );
    }

    #[test]
    fn a_sample_is_a_whole_number_or_nothing() {
        assert_eq!(whole("281474976710655"), Some(281_474_976_710_655));
        assert_eq!(whole("2.81474976710655e+14"), Some(281_474_976_710_655));
        for text in ["", "NaN", "1.5", "-1", "+Inf", "1e300"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
