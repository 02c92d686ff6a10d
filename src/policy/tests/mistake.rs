//! One edit of the seed's law, one mistake: what it is called, where it is, what to do.

use super::{check, edited};

#[test]
fn a_dangling_name_is_met_with_what_was_meant() {
    check(
        "from: [existing-system]",
        "from: [existing-sytem]",
        "tokyo/20-rules.yaml:13:12 unknown_name no system `existing-sytem`; did you mean `existing-system`?",
    );
    check(
        "evidence: site-contract\n    round_trip_max: 8ms",
        "evidence: contract\n    round_trip_max: 8ms",
        "tokyo/10-systems.yaml:14:15 unknown_name no document `contract`; there is `iso27017` `site-contract`",
    );
    check(
        "only: [intermediate-server]",
        "only: [server]",
        "tokyo/00-council.yaml:42:12 unknown_name no system `server`; there is `dedicated-terminal` `existing-system` `intermediate-server` `online-eligibility`",
    );
    check(
        "never_initiates: [online-eligibility]",
        "never_initiates: [online-eligibilty]",
        "tokyo/00-council.yaml:46:23 unknown_name no system `online-eligibilty`; did you mean `online-eligibility`?",
    );
    check(
        "trust: center-ca",
        "trust: centre-ca",
        "tokyo/10-systems.yaml:57:14 unknown_name no trust `centre-ca`; did you mean `center-ca`?",
    );
    check(
        "site: osaka, approval: r1-5 }\n",
        "site: nagoya, approval: r2 }\n",
        "tokyo/10-systems.yaml:62:47 unknown_name no site `nagoya`; there is `osaka` `tokyo`\ntokyo/10-systems.yaml:62:65 unknown_name no approval `r2`; there is `r1-5`",
    );
    check(
        "since: 2020-06-15",
        "since: 2020-06-15\n    amends: r0",
        "tokyo/00-council.yaml:37:13 unknown_name no approval `r0`; there is `r1-5`",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn keys_that_are_unknown_missing_or_of_another_type() {
    check(
        "title: 資格情報の登録",
        "titel: 資格情報の登録",
        "tokyo/20-rules.yaml:11:5 unknown_key there is no key `titel` here; did you mean `title`?",
    );
    check(
        "    side: center\n    owner",
        "    sidecar: center\n    owner",
        "tokyo/10-systems.yaml:48:3 missing_key key `side` is missing\ntokyo/10-systems.yaml:50:5 unknown_key there is no key `sidecar` here; the keys here are `title` `side` `owner` `addresses` `identities` `upstream`",
    );
    check(
        "  section: 保険部管理課\n",
        "",
        "tokyo/00-council.yaml:10:1 missing_key key `section` is missing",
    );
    check(
        "    approval: r1-5\n    from: [dedicated-terminal]",
        "    from: dedicated-terminal",
        "tokyo/20-rules.yaml:22:3 missing_key key `approval` is missing\ntokyo/20-rules.yaml:24:11 wrong_type a list is due here, not a text; write `[dedicated-terminal]`",
    );
    check(
        "mutual: true",
        "mutual: yes",
        "tokyo/00-council.yaml:63:13 wrong_type `true` or `false` is due here, not `yes`",
    );
    check(
        "connections: 64 ",
        "connections: 010 ",
        "tokyo/10-systems.yaml:59:20 bad_value `010` is not a whole number",
    );
    check(
        "countries: [JP]",
        "countries: [NO]",
        "tokyo/00-council.yaml:51:17 wrong_type a country such as `JP` is due here, not a truth value; if it is meant, put it in quotes: `\"NO\"`",
    );
    check(
        "countries: [JP]",
        "countries: [jp]",
        "tokyo/00-council.yaml:51:17 bad_value `jp` is not a country: two upper-case letters of ISO 3166-1; did you mean `JP`?",
    );
    check(
        "countries: [JP]",
        "countries: [JPN]",
        "tokyo/00-council.yaml:51:17 bad_value `JPN` is not a country: two upper-case letters of ISO 3166-1",
    );
    check(
        "countries: [JP]",
        "countries: [J1]",
        "tokyo/00-council.yaml:51:17 bad_value `J1` is not a country: two upper-case letters of ISO 3166-1",
    );
    check(
        "countries: [JP]",
        "countries: [j1]",
        "tokyo/00-council.yaml:51:17 bad_value `j1` is not a country: two upper-case letters of ISO 3166-1",
    );
    check(
        "connection_date: 2020-06-15 ",
        "connection_date: ２０２０-06-15 ",
        "tokyo/00-council.yaml:17:20 bad_value `２０２０-06-15` is not a date such as `2020-06-15` or a time such as `2020-06-15T09:00:00+09:00`; did you mean `2020-06-15`?",
    );
    check(
        "timezone: Asia/Tokyo",
        "timezone: Asia/Osaka",
        "tokyo/00-council.yaml:7:11 bad_value `Asia/Osaka` is not a time zone that is known here; write `Asia/Tokyo`, `UTC` or a fixed offset such as `+09:00`",
    );
    check(
        "business_number: null  ",
        "business_number: 010  ",
        "tokyo/00-council.yaml:11:20 wrong_type a text is due here, not a number; if it is meant, put it in quotes: `\"010\"`",
    );
    check(
        "dial: declared\n",
        "dial: sometimes\n",
        "tokyo/10-systems.yaml:19:11 bad_value `sometimes` is not a word for `dial`; write one of `always` `declared` `never`",
    );
    check(
        "      methods: [GET, POST, PUT]\n",
        "      methods: [get, POST, POST]\n",
        "tokyo/20-rules.yaml:18:17 bad_value `get` is not a method: their letters are upper case; did you mean `GET`?\ntokyo/20-rules.yaml:18:28 tokyo/20-rules.yaml:18:22 duplicate_value this is in the list twice",
    );
    check(
        "paths: [\"/exchange/**\"]",
        "paths: [\"/exchange/../**\"]",
        "tokyo/20-rules.yaml:19:15 bad_value `/exchange/../**` is not a path: `.` and `..` have no place in a path here",
    );
    check(
        "tls: [\"1.3\"]",
        "tls: [1.3]",
        "tokyo/00-council.yaml:62:11 wrong_type a TLS version is due here, not a number; if it is meant, put it in quotes: `\"1.3\"`",
    );
    check(
        "  existing-system:\n",
        "  Existing-System:\n",
        "tokyo/10-systems.yaml:36:3 bad_name `Existing-System` is not a name; did you mean `existing-system`?",
    );
    check(
        "version: 1\n\n# Dates",
        "version: 2\n\n# Dates",
        "tokyo/00-council.yaml:4:10 bad_value version 2 is not known; this program reads version 1",
    );
    check(
        "version: 1\n\n# Dates",
        "# Dates",
        "tokyo/00-council.yaml:5:1 missing_key key `version` is missing",
    );
    check(
        "since: 2020-06-15",
        "{ since: 2020-06-15",
        "tokyo/00-council.yaml:36:5 syntax this is not YAML: `unclosed bracket '{'`",
    );
}

#[test]
fn required_and_optional_keys_depend_on_each_other() {
    check(
        "    owner: 社会保険診療報酬支払基金\n",
        "",
        "tokyo/10-systems.yaml:48:3 missing_key key `owner` is missing; system `intermediate-server` has an `upstream`",
    );
    check(
        "    addresses: [10.210.0.0/16]\n",
        "",
        "tokyo/10-systems.yaml:65:3 missing_key key `addresses` is missing; system `online-eligibility` has no `upstream` either",
    );
    check(
        "    http:\n      methods: [GET]\n      paths: [\"/inquiry/*\"]\n",
        "",
        "tokyo/20-rules.yaml:22:3 missing_key key `http` is missing; protocol `https` needs it; write `http: { methods: [GET], paths: [\"/…\"] }`",
    );
    check(
        "    from: [dedicated-terminal]\n    to: intermediate-server\n    protocol: https\n",
        "    from: [dedicated-terminal]\n    to: intermediate-server\n    protocol: tls\n",
        "tokyo/20-rules.yaml:29:5 tokyo/20-rules.yaml:27:15 unknown_key protocol `tls` has no `http`: nobody reads what is inside",
    );
    check(
        "    revocation: { lists: [../certs/union-ca.crl] }",
        "    revocation: {}",
        "tokyo/10-systems.yaml:27:5 missing_key how revocation is known is missing; write `lists: [FILE]`, or `none: \"why there is no list\"`",
    );
    check(
        "    revocation: { lists: [../certs/union-ca.crl] }",
        "    revocation: { lists: [a], none: \"b\" }",
        "tokyo/10-systems.yaml:27:37 bad_value there are lists and there are none; one of the two holds; leave `none` out",
    );
    check(
        "    from: [dedicated-terminal]\n    to: intermediate-server",
        "    from: [dedicated-terminal]\n    to: online-eligibility",
        "tokyo/20-rules.yaml:26:9 tokyo/10-systems.yaml:65:3 no_upstream system `online-eligibility` has no `upstream`, so that no rule can lead to it",
    );
    check(
        "since: 2020-06-15",
        "since: 2020-06-15\n    until: 2020-06-14",
        "tokyo/00-council.yaml:37:12 tokyo/00-council.yaml:36:12 bad_value it ends before it begins",
    );
    assert!(edited("since: 2020-06-15", "since: 2020-06-15\n    until: 2020-06-15").is_ok());
}

#[test]
fn what_belongs_to_one_system_belongs_to_no_other() {
    check(
        "addresses: [10.13.20.0/27]",
        "addresses: [10.13.10.32/28]",
        "tokyo/10-systems.yaml:45:17 tokyo/10-systems.yaml:39:17 overlap addresses of `existing-system` and `dedicated-terminal` overlap",
    );
    check(
        "addresses: [10.13.20.0/27]",
        "addresses: [10.201.1.10]",
        "tokyo/10-systems.yaml:62:22 tokyo/10-systems.yaml:45:17 overlap addresses of `dedicated-terminal` and `intermediate-server` overlap",
    );
    check(
        "[\"dns:tanmatsu.union.example\"]",
        "[\"dns:Kizon.union.example.\"]",
        "tokyo/10-systems.yaml:46:18 tokyo/10-systems.yaml:40:18 overlap identity `dns:kizon.union.example` belongs to `existing-system` and to `dedicated-terminal`",
    );
    // Its own twice is in its list twice, and no other's.
    check(
        "[\"dns:tanmatsu.union.example\"]",
        "[\"dns:tanmatsu.union.example\", \"dns:tanmatsu.union.example\"]",
        "tokyo/10-systems.yaml:46:48 tokyo/10-systems.yaml:46:18 duplicate_value this is in the list twice",
    );
    check(
        "address: \"10.201.1.10:443\"",
        "address: \"10.200.1.10:443\"",
        "tokyo/10-systems.yaml:62:22 tokyo/10-systems.yaml:61:22 duplicate_value endpoint `10.200.1.10:443` is there twice",
    );
    check(
        "from: [dedicated-terminal]",
        "from: [dedicated-terminal, dedicated-terminal]",
        "tokyo/20-rules.yaml:25:32 tokyo/20-rules.yaml:25:12 duplicate_value this is in the list twice",
    );
}

#[test]
fn a_second_upstream_of_the_same_name_is_shown_with_the_first() {
    let again = "    addresses: [10.13.20.0/27]\n    owner: x\n    upstream: { server_name: Chukan.center.example, line: ip-vpn, trust: center-ca, certificate: center-facing, endpoints: [{ address: \"10.200.9.9:443\", site: tokyo, approval: r1-5 }] }\n";
    check(
        "    addresses: [10.13.20.0/27]\n",
        again,
        "tokyo/10-systems.yaml:57:20 tokyo/10-systems.yaml:47:30 overlap server name `chukan.center.example` belongs to `dedicated-terminal` and to `intermediate-server`",
    );
}

#[test]
fn rules_that_meet_speak_one_protocol() {
    let tls = "rules:\n  raw: { approval: r1-5, from: [existing-system], to: intermediate-server, protocol: tls, individual_number: unseen }\n";
    check(
        "rules:\n",
        tls,
        "tokyo/20-rules.yaml:6:3 tokyo/20-rules.yaml:11:3 protocol_conflict from `existing-system` to `intermediate-server` one rule speaks `https` and another `tls`; give them different listeners or one protocol: it is agreed on before the client is known",
    );
}
