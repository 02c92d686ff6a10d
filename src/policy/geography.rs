//! Which country an address is registered in, read out of one file: RIR delegated-extended statistics, a `.mmdb`
//! database, or a list of CIDR blocks. Only the addresses that are asked for are kept. Registry country says where a
//! block is registered, not where a machine stands. Bytes in, values out: who reads the file is not here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use maxminddb::{PathElement, Reader};
use time::Date;
use time::macros::format_description;

use crate::flow::Timestamp;

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registry {
    /// The country of each address that is asked for and is in the file, ISO 3166-1 alpha-2.
    pub(super) countries: BTreeMap<IpAddr, String>,
    /// When the file was made, by its own words; of several dates the oldest.
    pub(super) made: Timestamp,
}

/// Looks up `addresses`.
///
/// # Errors
/// Why the file cannot be used, in words; half a file is none.
pub(super) fn read(bytes: &[u8], addresses: &BTreeSet<IpAddr>) -> Result<Registry, String> {
    if memchr::memmem::rfind(bytes, MARKER).is_some() {
        return database(bytes, addresses);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_binary| "it is neither text nor a `.mmdb` database".to_owned())?;
    let first = text.lines().map(str::trim).find(|line| is_content(line));
    match first {
        None => Err("there is nothing in it".to_owned()),
        Some(line) if line.contains('|') => Delegated::new(addresses).read(text),
        Some(_) => blocks(text, addresses),
    }
}

/// What every `.mmdb` file has before its metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

fn is_content(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn database(bytes: &[u8], addresses: &BTreeSet<IpAddr>) -> Result<Registry, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("it is no usable `.mmdb`: {error}");
    let reader = Reader::from_source(bytes).map_err(|error| unusable(&error))?;
    let mut countries = BTreeMap::new();
    let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
    for address in addresses {
        let found = reader.lookup(*address).map_err(|error| unusable(&error))?;
        let code: Option<&str> = found.decode_path(&path).map_err(|error| unusable(&error))?;
        countries.extend(code.filter(|code| is_country(code)).map(|it| (*address, it.to_owned())));
    }
    let made = i64::try_from(reader.metadata().build_epoch).unwrap_or(0);
    Ok(Registry { countries, made: Timestamp::from_seconds(made) })
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|c| c.is_ascii_uppercase())
}

/// The narrowest block around each address that is asked for.
#[derive(Debug)]
struct Narrowest(BTreeMap<IpAddr, Option<(u128, Claim)>>);

/// What a block says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Claim {
    Country(String),
    /// Two blocks of the same size say two things: nobody knows.
    Disputed,
}

impl Narrowest {
    fn of(addresses: &BTreeSet<IpAddr>) -> Self {
        Self(addresses.iter().map(|address| (*address, None)).collect())
    }

    /// From `first` to `last`, both included, is registered in `country`.
    fn add(&mut self, first: IpAddr, last: IpAddr, country: &str) {
        if first > last {
            return;
        }
        let size = number(last).saturating_sub(number(first));
        for found in self.0.range_mut(first..=last).map(|(_, found)| found) {
            match found {
                Some((narrower, _)) if *narrower < size => {}
                Some((same, claim)) if *same == size => {
                    if *claim != Claim::Country(country.to_owned()) {
                        *claim = Claim::Disputed;
                    }
                }
                Some(_) | None => *found = Some((size, Claim::Country(country.to_owned()))),
            }
        }
    }

    fn countries(self) -> BTreeMap<IpAddr, String> {
        let told = |(address, found): (IpAddr, Option<(u128, Claim)>)| match found?.1 {
            Claim::Country(country) => Some((address, country)),
            Claim::Disputed => None,
        };
        self.0.into_iter().filter_map(told).collect()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// A reading of RIR statistics, of one registry or of several behind each other
/// (<https://www.apnic.net/about-apnic/corporate-documents/documents/resource-guidelines/rir-statistics-exchange-format/>).
#[derive(Debug)]
struct Delegated {
    found: Narrowest,
    made: Option<Timestamp>,
    /// Records that a header promised and that did not come yet.
    promised: u64,
}

impl Delegated {
    fn new(addresses: &BTreeSet<IpAddr>) -> Self {
        Self { found: Narrowest::of(addresses), made: None, promised: 0 }
    }

    fn read(mut self, text: &str) -> Result<Registry, String> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if is_content(line) {
                self.line(line).map_err(|why| format!("line {}: {why}", index + 1))?;
            }
        }
        if self.promised > 0 {
            return Err(format!("{} records that its header promises are missing", self.promised));
        }
        let made = self.made.ok_or("it has no header that says when it was made")?;
        Ok(Registry { countries: self.found.countries(), made })
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let fields: Vec<&str> = line.split('|').collect();
        match fields.as_slice() {
            [version, _registry, _serial, records, _start, end, ..]
                if version.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                self.header(records, end)
            }
            [_, "*", _, "*", _, "summary", ..] => Ok(()),
            [_, country, kind, start, count, _date, status, ..] => {
                self.promised = self.promised.checked_sub(1).ok_or("more records than promised")?;
                let held = matches!(*status, "allocated" | "assigned") && is_country(country);
                if held && *kind != "asn" {
                    self.block(country, kind, start, count)
                } else {
                    Ok(())
                }
            }
            _ => Err("not a record of RIR statistics"),
        }
    }

    fn header(&mut self, records: &str, end: &str) -> Result<(), &'static str> {
        if self.promised > 0 {
            return Err("a header before all records of the one before");
        }
        self.promised = records.parse().map_err(|_none| "no number of records")?;
        let day = Date::parse(end, format_description!("[year][month][day]"));
        let made = midnight(day.map_err(|_none| "no date of the form `20260201`")?);
        self.made = Some(self.made.map_or(made, |earlier| earlier.min(made)));
        Ok(())
    }

    fn block(
        &mut self,
        country: &str,
        kind: &str,
        start: &str,
        count: &str,
    ) -> Result<(), &'static str> {
        let (first, last) = match kind {
            "ipv4" => addresses_v4(start, count),
            "ipv6" => format!("{start}/{count}").parse().ok().map(ends),
            _ => return Err("a kind that is neither `ipv4` nor `ipv6` nor `asn`"),
        }
        .ok_or("not a block of addresses")?;
        self.found.add(first, last, country);
        Ok(())
    }
}

/// So many addresses from `start` on; the number need be no power of two.
fn addresses_v4(start: &str, count: &str) -> Option<(IpAddr, IpAddr)> {
    let first: Ipv4Addr = start.parse().ok()?;
    let more = count.parse::<u32>().ok()?.checked_sub(1)?;
    let last = u32::from(first).checked_add(more)?;
    Some((IpAddr::V4(first), IpAddr::V4(Ipv4Addr::from(last))))
}

fn ends(net: IpNet) -> (IpAddr, IpAddr) {
    (net.network(), net.broadcast())
}

/// CIDR blocks, one a line, each with its country (`203.0.113.0/24 JP`), or all those below a line such as
/// `# Country: Japan (JP)` with that one. A line `# Date: 2026-02-01` says when it was made.
fn blocks(text: &str, addresses: &BTreeSet<IpAddr>) -> Result<Registry, String> {
    let mut found = Narrowest::of(addresses);
    let (mut below, mut made) = (None, None);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            below = named_country(comment).or(below);
            made = date(comment).into_iter().chain(made).min();
        } else if !line.is_empty() {
            let (first, last, country) =
                block(line, below).map_err(|why| format!("line {}: {why}", index + 1))?;
            found.add(first, last, country);
        }
    }
    let made = made.ok_or("it does not say when it was made: write `# Date: 2026-02-01`")?;
    Ok(Registry { countries: found.countries(), made })
}

fn block<'a>(
    line: &'a str,
    below: Option<&'a str>,
) -> Result<(IpAddr, IpAddr, &'a str), &'static str> {
    let mut words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    let net: IpNet = words.next().and_then(|word| word.parse().ok()).ok_or("not a CIDR block")?;
    let own = words.next();
    let country = own.or(below).filter(|code| is_country(code)).ok_or("no country")?;
    let (first, last) = ends(net);
    Ok((first, last, country))
}

/// `Country: Japan (JP)`, or `Country: JP`.
fn named_country(comment: &str) -> Option<&str> {
    let name = comment.trim().strip_prefix("Country:")?.trim();
    let code = name.rsplit_once('(').map_or(name, |(_, code)| code.trim_end_matches(')'));
    is_country(code).then_some(code)
}

/// `Date: 2026-02-01`.
fn date(comment: &str) -> Option<Timestamp> {
    let day = comment.trim().strip_prefix("Date:")?.trim();
    Date::parse(day, format_description!("[year]-[month]-[day]")).ok().map(midnight)
}

fn midnight(day: Date) -> Timestamp {
    Timestamp::from_seconds(day.midnight().assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::{Registry, read};
    use crate::flow::Timestamp;

    const DELEGATED: &str = "\
2|apnic|20260201|5|19830613|20260131|+1000
apnic|*|asn|*|1|summary
apnic|*|ipv4|*|3|summary
apnic|*|ipv6|*|1|summary
apnic|JP|asn|173|1|20020801|allocated|A
apnic|JP|ipv4|1.0.16.0|4096|20110412|allocated|B
apnic|AU|ipv4|1.0.20.0|768|20110412|assigned|C
apnic|JP|ipv4|1.0.32.0|256|20110412|reserved|D
apnic|JP|ipv6|2001:200::|32|19990813|allocated|E
";

    fn look(text: &str, addresses: &[&str]) -> Result<Vec<Option<String>>, String> {
        let parsed = |text: &&str| text.parse::<IpAddr>().unwrap();
        let all: BTreeSet<IpAddr> = addresses.iter().map(parsed).collect();
        let Registry { mut countries, .. } = read(text.as_bytes(), &all)?;
        Ok(addresses.iter().map(|address| countries.remove(&parsed(address))).collect())
    }

    fn some(codes: &[&str]) -> Vec<Option<String>> {
        codes.iter().map(|code| (!code.is_empty()).then(|| (*code).to_owned())).collect()
    }

    #[test]
    fn rir_statistics_name_the_narrowest_block_that_is_held() {
        let asked = ["1.0.16.0", "1.0.31.255", "1.0.20.0", "1.0.22.255", "1.0.23.0", "1.0.32.1"];
        let told = some(&["JP", "JP", "AU", "AU", "JP", ""]);
        assert_eq!(look(DELEGATED, &asked), Ok(told));
        assert_eq!(look(DELEGATED, &["2001:200::1", "2001:201::1"]), Ok(some(&["JP", ""])));
        let made = read(DELEGATED.as_bytes(), &BTreeSet::new()).unwrap().made;
        assert_eq!(made, Timestamp::parse("2026-01-31T00:00:00Z").unwrap());
    }

    #[test]
    fn half_a_file_is_no_file() {
        let cut = DELEGATED.rsplit_once("apnic|JP|ipv6").unwrap().0;
        assert_eq!(
            look(cut, &[]),
            Err("1 records that its header promises are missing".to_owned())
        );
        let two = format!("{cut}{DELEGATED}");
        let early = "line 9: a header before all records of the one before";
        assert_eq!(look(&two, &[]), Err(early.to_owned()));
        assert_eq!(look(&format!("{DELEGATED}{DELEGATED}"), &["1.0.16.0"]), Ok(some(&["JP"])));
        let torn = DELEGATED.get(..DELEGATED.len() - 20).unwrap();
        assert!(look(torn, &[]).unwrap_err().starts_with("line 9: "));
        assert!(look("", &[]).is_err());
        assert!(look("nonsense\n", &[]).unwrap_err().starts_with("line 1: "));
        let longer = format!("{DELEGATED}apnic|JP|ipv4|1.1.0.0|256|20110412|allocated|F\n");
        assert_eq!(look(&longer, &[]), Err("line 10: more records than promised".to_owned()));
        assert!(read(&[0xff, 0xfe, 0], &BTreeSet::new()).is_err());
        assert!(read(b"\xab\xcd\xefMaxMind.com", &BTreeSet::new()).is_err());
    }

    #[test]
    fn a_list_of_blocks_says_its_country_and_its_date() {
        let text = "# Country: Japan (JP)\n# Date: 2026-02-01\n1.0.16.0/20\n1.0.20.0/24 AU\n2001:db8::/32, KR\n";
        let asked = ["1.0.16.1", "1.0.20.1", "2001:db8::1", "8.8.8.8"];
        assert_eq!(look(text, &asked), Ok(some(&["JP", "AU", "KR", ""])));
        let narrow_first = "# Date: 2026-02-01\n1.0.20.0/24 AU\n1.0.16.0/20 JP\n";
        assert_eq!(look(narrow_first, &asked[..2]), Ok(some(&["JP", "AU"])));
        assert!(
            look("# Date: 2026-02-01\n1.0.16.0/20\n", &[]).unwrap_err().ends_with("no country")
        );
        assert!(look("# Country: JP\n1.0.16.0/20\n", &[]).unwrap_err().contains("# Date:"));
        let disputed = "# Date: 2026-02-01\n1.0.16.0/20 JP\n1.0.16.0/20 AU\n";
        assert_eq!(look(disputed, &["1.0.16.1"]), Ok(some(&[""])));
    }

    #[test]
    fn comments_and_empty_lines_are_no_records() {
        let commented = format!("# a|b|c\n\n{DELEGATED}\n# the end\n");
        assert_eq!(look(&commented, &["1.0.16.0"]), Ok(some(&["JP"])));
        assert_eq!(look("# Country: JP\n\n", &[]), Err("there is nothing in it".to_owned()));
    }

    #[test]
    fn a_country_is_two_upper_case_letters_and_a_block_may_be_one_address() {
        let listed = |line: &str| look(&format!("# Date: 2026-02-01\n{line}\n"), &["1.0.16.1"]);
        assert_eq!(listed("1.0.16.1/32 JP"), Ok(some(&["JP"])));
        for code in ["jp", "JPN", "J"] {
            let unknown = Err("line 2: no country".to_owned());
            assert_eq!(listed(&format!("1.0.16.0/20 {code}")), unknown, "{code}");
        }
    }

    /// A database as the format describes it: one record for all of IPv4 (<https://maxmind.github.io/MaxMind-DB/>).
    fn mmdb() -> Vec<u8> {
        let text = |text: &str| {
            let mut bytes = vec![0b0100_0000 | u8::try_from(text.len()).unwrap()];
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        let record =
            [vec![0b1110_0001], text("country"), vec![0b1110_0001], text("iso_code"), text("JP")];
        // One node whose both records lead to the data at offset 0: node count + 16 + 0.
        let mut bytes = vec![0, 0, 17, 0, 0, 17];
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend(record.concat());
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let number = |value: u8| vec![0b1010_0001, value];
        let long = |value: u32| [vec![0b1100_0100], value.to_be_bytes().to_vec()].concat();
        let wide = |value: u32| [vec![0b0000_0100, 2], value.to_be_bytes().to_vec()].concat();
        let members = [
            ("node_count", long(1)),
            ("record_size", number(24)),
            ("ip_version", number(4)),
            ("database_type", text("Test")),
            ("languages", vec![0b0000_0000, 4]),
            ("binary_format_major_version", number(2)),
            ("binary_format_minor_version", vec![0b1010_0000]),
            ("build_epoch", wide(1_770_000_000)),
            ("description", vec![0b1110_0000]),
        ];
        bytes.push(0b1110_0000 | u8::try_from(members.len()).unwrap());
        for (key, value) in members {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn a_database_names_country_and_date() {
        let asked: BTreeSet<IpAddr> = ["1.2.3.4".parse().unwrap()].into();
        let registry = read(&mmdb(), &asked).unwrap();
        assert_eq!(registry.countries.values().collect::<Vec<_>>(), ["JP"]);
        assert_eq!(registry.made, Timestamp::from_seconds(1_770_000_000));
        for length in 0..mmdb().len() {
            // No length may panic; most are no database at all.
            let _cut = read(&mmdb()[..length], &asked);
        }
    }
}
