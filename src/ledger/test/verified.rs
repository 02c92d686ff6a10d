//! What the writer writes, the verifier believes; and what comes of a ledger that is sealed.

use std::fs;
use std::path::Path;

use super::{append, at, close, settings};
use crate::ledger::verify::{Findings, Harm, Outcome, verify};
use crate::ledger::{Ledger, LedgerError, PolicyDigest, seal, verifier};

fn verified(directory: &Path) -> Findings {
    let key = verifier(&settings(directory).state).unwrap();
    verify((directory, &key), &[], &mut |_| {}).unwrap()
}

async fn written(directory: &Path, starts: u64) {
    for _ in 0..starts {
        let ledger = Ledger::open(settings(directory)).unwrap();
        for _ in 0..20 {
            let _receipt = append(&ledger, "status").await;
        }
        close(ledger).await;
    }
}

fn change(path: &Path, change: impl FnOnce(String) -> String) {
    fs::write(path, change(fs::read_to_string(path).unwrap())).unwrap();
}

#[tokio::test]
async fn a_ledger_of_several_starts_is_intact_and_an_altered_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 3).await;
    let found = verified(folder.path());
    assert_eq!(found.outcome(), Outcome::Intact, "{found:?}");
    assert_eq!((found.entries, found.signed, found.gaps), (63, 63, 0));
    // The second start's segment; its gap lines, where there are any, have their hints too.
    change(&folder.path().join("000000000022.jsonl"), |text| {
        text.lines().enumerate().fold(String::new(), |all, (at, line)| {
            let line = if at == 7 { line.replace("done", "gone") } else { line.to_owned() };
            all + &line + "\n"
        })
    });
    let found = verified(folder.path());
    let damage = &found.damage[0];
    assert_eq!((damage.harm, damage.seq, damage.exact), (Harm::Altered, 29, true), "{damage:?}");
    assert_eq!(damage.place.to_string(), "000000000022.jsonl:8");
}

#[tokio::test]
async fn the_hints_of_a_start_after_a_crash_begin_with_its_gap_entry() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 1).await;
    drop(Ledger::open(settings(folder.path())).unwrap());
    written(folder.path(), 1).await;
    let found = verified(folder.path());
    assert_eq!(found.outcome(), Outcome::Intact, "{found:?}");
    let last = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .max()
        .unwrap();
    let lines = fs::read_to_string(&last).unwrap().lines().count();
    let hints = fs::metadata(last.with_extension("leaves")).unwrap().len();
    assert_eq!(hints, lines as u64 * 8);
    change(&last, |text| text.replacen("\"status\"", "\"reload\"", 1));
    assert!(verified(folder.path()).damage[0].exact);
}

#[tokio::test]
async fn a_sealed_ledger_ends_with_its_disposal_and_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 1).await;
    let state = settings(folder.path()).state;
    let sealing = seal::Sealing { at: at(9), policy: PolicyDigest([1; 32]), uid: 0, pid: 7 };
    let last = seal::seal(settings(folder.path()), sealing).await.unwrap();
    let found = verified(folder.path());
    assert_eq!((found.outcome(), found.unsigned()), (Outcome::Intact, 0), "{found:?}");
    assert_eq!((found.signed, found.root), (last.size, Some(last.root)));
    assert!(!state.join("ledger.key").exists() && state.join("ledger.pub").exists());
    let lines = super::lines(folder.path());
    let [.., disposal, stop] = &lines[..] else { panic!("two lines") };
    assert_eq!(
        (&disposal["facts"]["call"], &disposal["facts"]["uid"]),
        (&"seal".into(), &0.into())
    );
    assert_eq!((&stop["kind"], &stop["facts"]["cause"]), (&"stop".into(), &"sealed".into()));
    let again = Ledger::open(settings(folder.path()));
    let error = again.unwrap_err();
    assert!(matches!(error, LedgerError::Sealed { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the ledger in `{}` was sealed and takes no more entries; to run this box again, name another `ledger.directory` and another `state`",
            folder.path().display()
        )
    );
}

#[tokio::test]
async fn what_is_no_ledger_is_not_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let sealing = seal::Sealing { at: at(9), policy: PolicyDigest([1; 32]), uid: 0, pid: 7 };
    let error = seal::seal(settings(folder.path()), sealing).await.unwrap_err();
    assert!(matches!(error, seal::SealError::Empty), "{error}");
}
