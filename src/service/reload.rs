//! Putting a law in force while running: a whole new snapshot or none. What is refused leaves everything as it
//! was and says so: to whoever asked, in the log, the ledger, the metrics and the status.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::restart;
use super::running::{InForce, Origin, Running};
use super::summary;
use crate::ledger::{Body, PolicyDigest};
use crate::metrics;
use crate::policy::Masked;
use crate::proxy::{Snapshot, clock};
use crate::source::{self, Loaded};
use crate::yaml::{Fault, Faults, Severity, SourceFile};

/// How many faults of a refused law the ledger lists; all are counted.
const RECORDED_MAX: usize = 8;

/// How an attempt to put a law in force ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// When, RFC 3339.
    pub at: String,
    /// How.
    pub result: Result,
    /// The law in force now, hexadecimal.
    pub policy: String,
    /// The law in force before.
    pub was: String,
    /// How many connections were cut.
    pub cut: usize,
    /// How many errors kept it out.
    pub errors: usize,
    /// All faults as people read them, warnings too; empty where there are none.
    pub faults: String,
}

/// What became of the law on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// It is in force.
    InForce,
    /// It was in force already; certificates and lists were read again.
    Unchanged,
    /// It is not in force.
    Refused,
}

impl Reloaded {
    /// Whether the old law stays.
    pub const fn is_refused(&self) -> bool {
        matches!(self.result, Result::Refused)
    }

    /// The outcome in one line.
    pub fn sentence(&self) -> String {
        let (policy, was) = (short(&self.policy), short(&self.was));
        let connections = match self.cut {
            1 => "1 connection cut".to_owned(),
            cut => format!("{cut} connections cut"),
        };
        let faults = if self.errors == 1 { "fault" } else { "faults" };
        match self.result {
            Result::InForce => {
                format!("reloaded: policy {policy} in force (was {was}), {connections}")
            }
            Result::Unchanged => {
                format!("reloaded: policy {policy} in force (unchanged), {connections}")
            }
            Result::Refused => {
                format!("refused: {} {faults}, the old policy {policy} stays in force", self.errors)
            }
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

/// A law that was taken in, and what changed by it.
struct Accepted {
    was: PolicyDigest,
    unchanged: bool,
    cut: usize,
    warnings: String,
}

/// Why a law was not taken in.
struct Refused {
    /// Its digest, where it could be read at all.
    offered: Option<PolicyDigest>,
    faults: Faults,
}

impl Running {
    /// Reads law and box again and puts them in force, or leaves everything as it is. One at a time; the others
    /// wait. `None` where the service is draining.
    pub(super) async fn reload(&self) -> Option<Reloaded> {
        let _turn = self.turn.lock().await;
        if self.is_draining() {
            return None;
        }
        self.supervisor.reloading();
        let attempt = self.attempt().await;
        let reloaded = match attempt {
            Ok(accepted) => self.accepted(&accepted),
            Err(refused) => self.refused(refused).await,
        };
        self.note(&reloaded);
        Some(reloaded)
    }

    async fn attempt(&self) -> std::result::Result<Accepted, Refused> {
        let (loaded, snapshot) = self.read().await?;
        let offered = loaded.digest;
        let refuse = |faults| Refused { offered: Some(offered), faults };
        self.keep(&loaded).await.map_err(refuse)?;
        if let Err(faults) = self.record_acceptance(&loaded).await {
            self.keep(&self.in_force().loaded).await.map_err(refuse)?;
            return Err(refuse(faults));
        }
        Ok(self.put_in_force(loaded, snapshot).await)
    }

    /// Reads and builds in a thread that may block.
    async fn read(&self) -> std::result::Result<(Arc<Loaded>, Arc<Snapshot>), Refused> {
        let (box_file, running) = (self.box_file.clone(), self.in_force().loaded);
        let guardrails = self.guardrails.clone();
        let read = tokio::task::spawn_blocking(move || {
            let unread = |faults| Refused { offered: None, faults };
            let loaded = source::load_pinned(&box_file, guardrails.as_ref()).map_err(unread)?;
            let refuse = |faults| Refused { offered: Some(loaded.digest), faults };
            let frozen = restart::needed(&running.appliance, &loaded.appliance);
            if !frozen.0.is_empty() {
                return Err(refuse(frozen));
            }
            let snapshot = Snapshot::build(&loaded).map_err(refuse)?;
            Ok((Arc::new(loaded), Arc::new(snapshot)))
        });
        read.await.unwrap_or_else(|_| {
            let message = "reading the law has panicked; the log says where";
            Err(Refused { offered: None, faults: fault("internal", message.to_owned()) })
        })
    }

    /// An accepted law is archived before it is in force: a ledger must never name a law that nobody can show. The
    /// last one that was archived is the one that a start falls back to.
    async fn keep(&self, loaded: &Arc<Loaded>) -> std::result::Result<(), Faults> {
        let (archive, loaded) = (Arc::clone(&self.archive), Arc::clone(loaded));
        let kept = tokio::task::spawn_blocking(move || archive.keep(&loaded)).await;
        let why = match kept {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "writing has panicked; the log says where".to_owned(),
        };
        Err(fault("archive", format!("the law cannot be archived: {why}")))
    }

    /// Nothing passes under a law whose beginning is not recorded.
    async fn record_acceptance(&self, loaded: &Loaded) -> std::result::Result<(), Faults> {
        let message = "the ledger cannot be written, and no law begins unrecorded";
        let before = self.in_force().loaded;
        let changes = summary::changes(&before, loaded);
        let body = accepted_policy(loaded.digest, Origin::Disk, Some((before.digest, changes)));
        match self.append(loaded.digest, body).await {
            Ok(_receipt) => Ok(()),
            Err(_) => Err(fault("ledger_unwritable", message.to_owned())),
        }
    }

    async fn put_in_force(&self, loaded: Arc<Loaded>, snapshot: Arc<Snapshot>) -> Accepted {
        let old = self.in_force();
        let unchanged = old.loaded.digest == loaded.digest && same_files(&old.loaded, &loaded);
        self.install(InForce {
            since: if old.loaded.digest == loaded.digest { old.since } else { clock::now() },
            origin: Origin::Disk,
            matches_disk: true,
            loaded: Arc::clone(&loaded),
        });
        let cut = self.swap(snapshot).await;
        let warnings = loaded.law.warnings.render(false);
        Accepted { was: old.loaded.digest, unchanged, cut, warnings }
    }

    fn accepted(&self, accepted: &Accepted) -> Reloaded {
        let at = clock::now();
        self.metrics.reloaded(metrics::ReloadResult::Accepted, at.as_seconds_f64());
        Reloaded {
            at: at.to_string(),
            result: if accepted.unchanged { Result::Unchanged } else { Result::InForce },
            policy: self.in_force().loaded.digest.to_string(),
            was: accepted.was.to_string(),
            cut: accepted.cut,
            errors: 0,
            faults: accepted.warnings.clone(),
        }
    }

    async fn refused(&self, refused: Refused) -> Reloaded {
        let at = clock::now();
        let current = self.in_force().loaded.digest;
        self.set_matches_disk(refused.offered == Some(current));
        self.metrics.reloaded(metrics::ReloadResult::Refused, at.as_seconds_f64());
        if self.append(current, refusal(&refused)).await.is_err() {
            tracing::error!("the refused reload could not be recorded in the ledger");
        }
        Reloaded {
            at: at.to_string(),
            result: Result::Refused,
            policy: current.to_string(),
            was: current.to_string(),
            cut: 0,
            errors: errors(&refused.faults).count(),
            faults: refused.faults.render(false),
        }
    }

    fn note(&self, reloaded: &Reloaded) {
        let sentence = reloaded.sentence();
        if reloaded.is_refused() {
            tracing::error!(faults = %reloaded.faults, "{sentence}");
        } else {
            tracing::info!("{sentence}");
        }
        self.supervisor.ready(&sentence);
        self.set_last_reload(reloaded.clone());
    }
}

fn refusal(refused: &Refused) -> Body {
    refused_policy(refused.offered, &refused.faults)
}

/// The ledger's entry of a law that is in force from here on; with the one before it, and what is different.
pub(super) fn accepted_policy(
    digest: PolicyDigest,
    origin: Origin,
    before: Option<(PolicyDigest, Vec<Masked>)>,
) -> Body {
    let (was, changes) = before.unzip();
    Body::Policy {
        accepted: true,
        offered: Some(digest),
        was,
        changes: changes.unwrap_or_default(),
        origin: Masked::own(origin.word()),
        faults: 0,
        first: Vec::new(),
    }
}

/// The ledger's entry of a law that was not taken in.
pub(super) fn refused_policy(offered: Option<PolicyDigest>, faults: &Faults) -> Body {
    Body::Policy {
        accepted: false,
        offered,
        was: None,
        changes: Vec::new(),
        origin: Masked::own("disk"),
        faults: u32::try_from(errors(faults).count()).unwrap_or(u32::MAX),
        first: errors(faults).take(RECORDED_MAX).map(recorded).collect(),
    }
}

/// A fault in one line. What somebody typed by mistake into a law could be anything: where it would have to be
/// masked, code and place say enough.
fn recorded(fault: &Fault) -> Masked {
    let place = fault.places.first().map(|(place, _)| format!("{}:{}: ", place.file, place.line));
    let bare = format!("{}{}", place.unwrap_or_default(), fault.code);
    let whole = format!("{bare}: {}", fault.message);
    let masked = Masked::text(&whole);
    if masked.as_str() == whole { masked } else { Masked::text(&bare) }
}

fn errors(faults: &Faults) -> impl Iterator<Item = &Fault> {
    faults.0.iter().filter(|fault| fault.severity == Severity::Error)
}

fn fault(code: &'static str, message: String) -> Faults {
    Faults(vec![Fault {
        code,
        severity: Severity::Error,
        message,
        places: Vec::new(),
        notes: Vec::new(),
        remedy: None,
    }])
}

/// Whether box, law and public certificates are the same bytes.
fn same_files(old: &Loaded, new: &Loaded) -> bool {
    let same = |(a, b): (&SourceFile, &SourceFile)| a.name == b.name && a.bytes == b.bytes;
    old.files.len() == new.files.len() && old.files.iter().zip(&new.files).all(same)
}

#[cfg(test)]
mod tests {
    use super::{Result, refused_policy};
    use crate::ledger::{Body, PolicyDigest};
    use crate::service::testing;
    use crate::yaml::{Faults, Severity};

    #[test]
    fn the_outcome_is_one_sentence() {
        let refused = testing::refused();
        assert_eq!(refused.sentence(), "refused: 2 faults, the old policy 4f1c9a02 stays in force");
        let mut taken = refused;
        (taken.result, taken.was, taken.cut) = (Result::InForce, "9be0".repeat(16), 1);
        assert_eq!(
            taken.sentence(),
            "reloaded: policy 4f1c9a02 in force (was 9be09be0), 1 connection cut"
        );
        (taken.result, taken.cut) = (Result::Unchanged, 0);
        assert_eq!(
            taken.sentence(),
            "reloaded: policy 4f1c9a02 in force (unchanged), 0 connections cut"
        );
    }

    #[test]
    fn the_ledger_counts_the_errors_and_lists_the_first_without_numbers_of_people() {
        let offered = Some(PolicyDigest([9; 32]));
        let mut faults = Faults(Vec::new());
        for n in 0..20 {
            let mut fault = testing::fault("no system `123456789018`");
            fault.severity = if n % 2 == 0 { Severity::Error } else { Severity::Warning };
            faults.0.push(fault);
        }
        let Body::Policy { accepted, offered: recorded, faults, first, .. } =
            refused_policy(offered, &faults)
        else {
            panic!("another kind of entry")
        };
        assert!(!accepted);
        assert_eq!((recorded, faults, first.len()), (offered, 10, 8));
        for text in &first {
            assert_eq!(text.as_str(), "policies/20-rules.yaml:6: unknown_name");
        }
        let harmless = Faults(vec![testing::fault("no system `existing-sytem`")]);
        let Body::Policy { first, .. } = refused_policy(None, &harmless) else {
            panic!("another kind of entry")
        };
        let due = "policies/20-rules.yaml:6: unknown_name: no system `existing-sytem`";
        assert_eq!(first[0].as_str(), due);
    }
}
