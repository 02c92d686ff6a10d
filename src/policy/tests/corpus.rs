//! The corpus of the fuzz target `policy_text`, and a law in which everything is wrong: a law or faults that can be
//! shown, in time, never a panic.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{file, tokyo, understand};
use crate::yaml::{Faults, SourceFile};

/// Without optimisation, on a busy machine; a release build needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn every_file_of_the_fuzzing_corpus_is_a_law_or_faults_that_can_be_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/policy_text");
    let (mut sound, mut wrong) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes: Arc<[u8]> = fs::read(&path).unwrap().into();
        let began = Instant::now();
        match understand(&[SourceFile { name: Arc::from("corpus.yaml"), bytes }], None) {
            Ok(law) => {
                sound += 1;
                drop(law.warnings.render(true));
            }
            Err(faults) => {
                wrong += 1;
                assert!(
                    !faults.is_sound() && !faults.render(true).is_empty(),
                    "{}",
                    path.display()
                );
                assert!(faults.0.len() <= Faults::SHOWN_MAX + 1, "{}", path.display());
                let placed =
                    faults.0.iter().all(|it| !it.places.is_empty() || it.code == "more_faults");
                assert!(placed, "{}: {faults:?}", path.display());
            }
        }
        assert!(began.elapsed() < PATIENCE, "{}: {:?}", path.display(), began.elapsed());
    }
    // The shipped laws as they are, with CR LF, with a byte order mark, and with a declaration.
    assert_eq!(sound, 5);
    assert_eq!(wrong, 30);
}

#[test]
fn a_law_in_which_every_name_is_wrong_is_told_in_time_with_a_count() {
    let mut text = "version: 1\nrules:\n".to_owned();
    for rule in 0..5000 {
        let http = "http: { methods: [GET], paths: [\"/a\"] }, individual_number: permitted";
        writeln!(text, "  r{rule}: {{ approval: p{rule}, from: [nobody-{rule}], to: nowhere-{rule}, protocol: https, {http} }}").unwrap();
    }
    let mut files = tokyo();
    files.pop();
    let mut systems = "version: 1\nsystems:\n".to_owned();
    for system in 0..2000 {
        let (high, low) = (system / 250, system % 250);
        writeln!(systems, "  somebody-{system}: {{ side: union, addresses: [10.{}.{low}.0/24], identities: [\"dns:s{system}.example\"] }}", 100 + high).unwrap();
    }
    files.push(file("tokyo/50-systems.yaml", &systems));
    files.push(file("tokyo/60-rules.yaml", &text));
    let began = Instant::now();
    let faults = understand(&files, None).unwrap_err();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let last = faults.0.last().unwrap();
    assert_eq!((last.code, faults.0.len()), ("more_faults", Faults::SHOWN_MAX + 1));
    assert_eq!(last.message, "and 14800 more, not shown");
    assert_eq!(faults.0[0].message, "no approval `p0`");
}
