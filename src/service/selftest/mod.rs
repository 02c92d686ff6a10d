//! The self-test: the guardrails tried for real, on the workers' own code, under a twin of the law in force whose trust
//! and endpoints are stand-ins. It runs in a thread of its own, one at a time and never for long; live traffic does not
//! notice it. Each probe becomes an entry of the ledger: evidence that the control *operated*.
//!
//! No peer can reach it and it reaches none: the second data path has no listener ([`crate::proxy::Rehearsal`]), its
//! connections are made by this process with itself, and it does not begin under a law that names an endpoint of the real one.
//! What to try is in `probe`; a new control adds a row there.

mod outcome;
mod papers;
mod passage;
mod probe;
mod scene;
mod twin;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

pub use outcome::{Fate, Probed, SelfTested};

use papers::Papers;
use passage::Passage;
use probe::{Absent, Cast, Expected, PROBES, Probe};
use scene::{Attempt, Scene, Seen};

use super::running::Running;
use crate::ledger::{Body, Entry, Ledger};
use crate::metrics;
use crate::policy::Masked;
use crate::proxy::clock;
use crate::source::Loaded;

/// The longest that a self-test may take.
const LIMIT: Duration = Duration::from_mins(1);

/// What the running service keeps of its self-tests.
#[derive(Debug)]
pub(super) struct Examiner {
    /// Whoever tests holds it.
    turn: Mutex<()>,
    /// Ends the one that runs.
    stop: watch::Sender<bool>,
    last: RefCell<Option<SelfTested>>,
}

impl Default for Examiner {
    fn default() -> Self {
        Self { turn: Mutex::default(), stop: watch::channel(false).0, last: RefCell::default() }
    }
}

impl Examiner {
    /// Ends the one that runs, and waits for its end; none begins after this.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        drop(self.turn.lock().await);
    }

    /// The last one that was run to its end.
    pub(super) fn last(&self) -> Option<SelfTested> {
        self.last.borrow().clone()
    }
}

/// The names of the probes, for the metrics.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROBES.iter().map(|probe| probe.name)
}

impl Running {
    /// Tries every probe under the law in force.
    ///
    /// # Errors
    /// Why it could not be run, in a sentence.
    pub(super) async fn selftest(&self) -> Result<SelfTested, String> {
        let Ok(_turn) = self.examiner.turn.try_lock() else {
            return Err("another self-test is running".to_owned());
        };
        if self.is_draining() {
            return Err("the service is draining and tests nothing any more".to_owned());
        }
        let (loaded, ledger) = (self.in_force().loaded, self.ledger().clone());
        let stopped = self.examiner.stop.subscribe();
        let conducted = tokio::task::spawn_blocking(move || conduct(&loaded, &ledger, stopped));
        let tested = conducted.await.unwrap_or_else(|_panicked| {
            Err("the self-test has panicked; the log says where".to_owned())
        });
        self.tell(&tested);
        tested
    }

    /// In the metrics, the log and the status.
    fn tell(&self, tested: &Result<SelfTested, String>) {
        let at = clock::now().as_seconds_f64();
        match tested {
            Ok(tested) => {
                let result = if tested.is_passed() {
                    metrics::TestResult::Passed
                } else {
                    metrics::TestResult::Failed
                };
                self.metrics.tested(result, at);
                for probed in &tested.probes {
                    log(probed);
                    self.metrics.probed(&probed.probe, probed.outcome != Fate::Failed);
                }
                tracing::info!(policy = %tested.policy, "self-test: {}", tested.sentence());
                self.examiner.last.replace(Some(tested.clone()));
            }
            Err(why) => {
                self.metrics.tested(metrics::TestResult::Incomplete, at);
                tracing::error!(%why, "the self-test could not be run");
            }
        }
    }
}

fn log(probed: &Probed) {
    let Probed { probe, expected, happened, outcome, detail, .. } = probed;
    if *outcome == Fate::Failed {
        let detail = detail.as_deref().unwrap_or_default();
        tracing::error!(%probe, %expected, %happened, detail, "a probe of the self-test FAILED");
    }
}

/// Runs a self-test in the calling thread, which may block.
fn conduct(
    loaded: &Arc<Loaded>,
    ledger: &Ledger,
    mut stopped: watch::Receiver<bool>,
) -> Result<SelfTested, String> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err("the service began to drain".to_owned()),
            tested = timeout(LIMIT, run(loaded, ledger)) => {
                tested.unwrap_or_else(|_late| Err(format!("it took longer than {LIMIT:?}")))
            }
        }
    })
}

async fn run(loaded: &Loaded, ledger: &Ledger) -> Result<SelfTested, String> {
    let (at, began) = (clock::now(), Instant::now());
    let nowhere = "the law lets nobody pass by a listener of this box";
    let passage = passage::choose(loaded, at).ok_or(nowhere)?;
    let papers = Papers::make(loaded, &passage, at)?;
    let mut scene = Scene::set(loaded, &passage, &papers, ledger)?;
    let cast = Cast { loaded, passage: &passage, papers: &papers };
    let mut probes = Vec::new();
    for probe in PROBES {
        let found = attempt(probe, &cast, &mut scene).await?;
        let reference = Some(record(&found, loaded, ledger, &scene).await?);
        probes.push(Probed { reference, ..found });
    }
    scene.end().await;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let policy = loaded.digest.to_string();
    Ok(SelfTested { at: at.to_string(), policy, milliseconds, probes })
}

async fn attempt(probe: &Probe, cast: &Cast<'_>, scene: &mut Scene) -> Result<Probed, String> {
    let clause = (probe.clause)(&cast.loaded.law.engine.model().guardrails).cloned();
    let probed = Probed {
        probe: probe.name.to_owned(),
        title: probe.title.to_owned(),
        expected: probe.expected.code().to_owned(),
        happened: "-".to_owned(),
        outcome: Fate::Failed,
        clause,
        entries: None,
        reference: None,
        detail: None,
    };
    match (probe.who)(cast) {
        Ok(caller) => {
            let between: (&Passage, &Papers) = (cast.passage, cast.papers);
            let attempt = scene.attempt(between, &caller, probe.under).await?;
            Ok(judged(probed, probe.expected, &attempt))
        }
        Err(Absent::NotInLaw(why)) => {
            Ok(Probed { outcome: Fate::NotInLaw, detail: Some(why), ..probed })
        }
        Err(Absent::Missing(why)) => Ok(Probed { detail: Some(why), ..probed }),
    }
}

/// A control operated where the client, the ledger and the stand-ins tell the same.
fn judged(probed: Probed, expected: Expected, attempt: &Attempt) -> Probed {
    let recorded = attempt.recorded();
    let passed = attempt.seen == Seen::Passed;
    let happened = if passed { "allow" } else { recorded.unwrap_or("unrecorded") };
    let doubt = doubt(expected, attempt);
    let is_due = happened == expected.code() && doubt.is_none();
    let first = attempt.noted.first().map(|noted| noted.seq);
    Probed {
        happened: happened.to_owned(),
        outcome: if is_due { Fate::Passed } else { Fate::Failed },
        entries: first.zip(attempt.noted.last().map(|noted| noted.seq)),
        detail: doubt.map(str::to_owned),
        ..probed
    }
}

/// What does not fit the answer that is due, beside the answer itself.
fn doubt(expected: Expected, attempt: &Attempt) -> Option<&'static str> {
    match expected {
        Expected::Allow if attempt.recorded() != Some("allow") => {
            Some("the ledger does not record that it passed")
        }
        Expected::Allow if attempt.reached == 0 => Some("nothing reached the stand-in"),
        Expected::Allow => None,
        Expected::Deny(_) if attempt.went_out() => Some("something went out to the stand-in"),
        Expected::Deny(reason) => match &attempt.seen {
            Seen::Closed => None,
            Seen::Refused(told) if told == reason.code() => None,
            Seen::Refused(_) => Some("the client was told another reason"),
            Seen::Passed => Some("the client was answered"),
            Seen::Nothing => Some("the client was not answered in time"),
        },
    }
}

/// The probe's own entry, on disk; its reference.
async fn record(
    probed: &Probed,
    loaded: &Loaded,
    ledger: &Ledger,
    scene: &Scene,
) -> Result<String, String> {
    let body = Body::Probe {
        probe: Masked::text(&probed.probe),
        outcome: Masked::own(probed.outcome.word()),
        expected: Masked::text(&probed.expected),
        happened: Masked::text(&probed.happened),
        clause: probed.clause.as_deref().map(Masked::text),
        entries: probed.entries,
        detail: probed.detail.as_deref().map(Masked::text),
    };
    let entry = Entry { at: clock::now(), policy: loaded.digest, connection: None, body };
    let flagged = ledger.rehearse(scene.noted());
    let unwritable = |error: crate::ledger::Unwritable| error.to_string();
    let receipt = flagged.append(&entry).await.map_err(unwritable)?;
    let receipt = flagged.sync(receipt).await.map_err(unwritable)?;
    Ok(receipt.reference())
}
