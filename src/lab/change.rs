//! The rows in which something changes under way: the law on disk, a server that dies, a revocation list.

use std::io;
use std::time::{Duration, Instant};

use http::Method;

use super::Error;
use super::cast::{CHUKAN, CHUKEI};
use super::record::Line;
use super::row::{Found, Shown};
use super::scene::Scene;
use super::traffic::{is_pattern, told};
use crate::service::{ReloadResult, Reloaded};
use crate::standin::{Answer, Ask, Broken, Client, Speak};
use crate::verdict::Reason;

const COUNCIL: &str = "policies/00-council.yaml";
const SYSTEMS: &str = "policies/10-systems.yaml";
const RULES: &str = "policies/20-rules.yaml";

/// A moment that nobody who runs the lab will see.
const TO_COME: &str = "2199-04-01";

/// How soon a transfer must end whose owner is revoked.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// What the transfers carry while one of them is cut, in bytes: the neighbour's ends, the other's would go on.
const NEIGHBOUR: u64 = 4 << 20;
const REVOKED: u64 = 1 << 30;

impl Scene {
    /// A law with another connection date, and back.
    pub(super) async fn too_early(&self, mark: u64, reason: Reason) -> Result<Found, Error> {
        let before = self.folder.edit(COUNCIL, "2020-06-15", TO_COME)?;
        let taken = self.gate.reload().await?.result == ReloadResult::InForce;
        let found = self.arrive(mark, reason, ((13, 5), (0, 1))).await?;
        self.folder.write(COUNCIL, &before)?;
        let back = self.gate.reload().await?.result == ReloadResult::InForce;
        Ok(Found { fits: found.fits && taken && back, ..found })
    }

    /// Nobody answers where the law has one endpoint only.
    pub(super) async fn relay_dead(&mut self, mark: u64, reason: Reason) -> Result<Found, Error> {
        self.center.relay.stop().await;
        let raw = self.terminal()?.open_raw(self.listener(), Some(CHUKEI)).await?;
        // An end in order or a reset: in no case a byte.
        let answer = match raw.exchange(1).await {
            Ok(back) if back.bytes > 0 => Err("a byte came back".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        };
        let found = self.denied(mark, reason, answer).await?;
        self.center.relay.restart()?;
        Ok(found)
    }

    /// Tokyo does not answer, Osaka would.
    pub(super) async fn tokyo_dead(&mut self, mark: u64, reason: Reason) -> Result<Found, Error> {
        self.center.tokyo.stop().await;
        let osaka = self.center.osaka.witness();
        let ask = Ask::new(Method::GET, CHUKAN, "/exchange/status?code=200");
        let answer = told(self.ask(Shown::Kizon, Speak::Http11, ask).await?, reason);
        let found = self.denied(mark, reason, answer).await?;
        Ok(Found { fits: found.fits && osaka.accepted() == 0, ..found })
    }

    /// Tokyo answers again.
    pub(super) async fn tokyo_back(&mut self, mark: u64) -> Result<Found, Error> {
        self.center.tokyo.restart()?;
        let ask = Ask::new(Method::GET, CHUKAN, "/exchange/status?code=200");
        let answer = self.ask(Shown::Kizon, Speak::Http11, ask).await?;
        self.allowed(mark, "request", answer.is_ok_and(|answer| answer.status == 200)).await
    }

    /// A law that would let bytes leave the country.
    pub(super) async fn abroad(&self, mark: u64) -> Result<Found, Error> {
        let site = "  seoul: { title: ソウル, country: KR, dial: never, evidence: site-contract }\n  osaka: {";
        let before = self.folder.edit(SYSTEMS, "  osaka: {", site)?;
        let osaka = "site: osaka, approval: r1-5 }";
        let address = self.ground.socket(103, 10);
        let endpoint =
            format!("{osaka}\n        - {{ address: \"{address}\", site: seoul, approval: r1-5 }}");
        self.folder.edit(SYSTEMS, osaka, &endpoint)?;
        let refused = self.refused_law(mark).await?;
        self.restore(SYSTEMS, &before).await?;
        let code = Reason::OutsideCountry.code();
        let is_named = refused.first.iter().any(|fault| fault.split(": ").any(|part| part == code));
        let happened = if is_named { code.to_owned() } else { refused.sentence() };
        Ok(Found { happened, seq: refused.seq, fits: refused.fits && is_named })
    }

    /// A law with two mistakes: a source and a destination that do not exist.
    pub(super) async fn faulty(&self, mark: u64) -> Result<Found, Error> {
        let before = self.folder.edit(RULES, "[existing-system]", "[existing-sytem]")?;
        self.folder.edit(RULES, "to: relay-server", "to: relay-sever")?;
        let refused = self.refused_law(mark).await?;
        self.restore(RULES, &before).await?;
        Ok(Found {
            happened: refused.sentence(),
            seq: refused.seq,
            fits: refused.fits && refused.faults == 2,
        })
    }

    /// Asks for a reload that must be refused, and shows that the old law still lets pass what it let pass.
    async fn refused_law(&self, mark: u64) -> Result<RefusedLaw, Error> {
        let reloaded = self.gate.reload().await?;
        let wanted = |line: &Line| line.is("policy", None) && !is_accepted(line);
        let line = self.record.wait(mark, wanted).await?;
        let ask = Ask::new(Method::GET, CHUKAN, "/exchange/status?code=200");
        let answer = self.ask(Shown::Kizon, Speak::H2, ask).await?;
        let stays = answer.is_ok_and(|answer| answer.status == 200);
        Ok(RefusedLaw::new(&reloaded, line, stays))
    }

    /// The law as it was, and the service's word that it has seen so.
    async fn restore(&self, file: &str, before: &str) -> Result<(), Error> {
        self.folder.write(file, before)?;
        match self.gate.reload().await?.result {
            ReloadResult::InForce | ReloadResult::Unchanged => Ok(()),
            ReloadResult::Refused => Err(io::Error::other("the lab's own law was refused").into()),
        }
    }

    /// Two transfers; one owner is revoked while both go on.
    pub(super) async fn revoked(&self, mark: u64) -> Result<Found, Error> {
        let (culprit, serial) = self.second()?;
        let neighbour = self.existing(Shown::Kizon)?;
        let (cut, whole, measured) = tokio::join!(
            self.transfer(&culprit, REVOKED),
            self.transfer(&neighbour, NEIGHBOUR),
            self.revoke_under_way(mark, serial),
        );
        let (asked, ended) = (measured?, cut?);
        let took = ended.at.saturating_duration_since(asked);
        let is_cut = ended.answer.is_err() && took < CUT_WITHIN;
        let neighbour = whole?.answer.is_ok_and(|answer| is_pattern(&answer, NEIGHBOUR));
        let wanted = |line: &Line| line.is("refused", Some(Reason::CertificateRevoked.code()));
        let line = self.record.wait(mark, wanted).await?;
        let happened = match (is_cut, neighbour) {
            (true, true) => format!("cut in {} ms", took.as_millis()),
            (true, false) => "the neighbour was hurt".to_owned(),
            (false, _) => "not cut in time".to_owned(),
        };
        let fits = is_cut && neighbour && line.is_some();
        Ok(Found { happened, seq: line.map(|line| line.seq), fits })
    }

    async fn transfer(&self, client: &Client, bytes: u64) -> Result<Ended, Error> {
        let mut connection = client.open(self.listener(), Some(CHUKAN), Speak::Http11).await?;
        let target = format!("/exchange/download?bytes={bytes}&pace=20");
        let answer = connection.ask(Ask::new(Method::GET, CHUKAN, &target)).await;
        Ok(Ended { answer, at: Instant::now() })
    }

    /// Revokes once both transfers are in the ledger; gives the moment at which the reload was asked for.
    async fn revoke_under_way(&self, mark: u64, serial: u64) -> Result<Instant, Error> {
        let first = self.record.wait(mark, |line| line.is("request", None)).await?;
        let first = first.map_or(mark, |line| line.seq);
        self.record.wait(first, |line| line.is("request", None)).await?;
        self.papers.revoke(&self.folder.certificates(), &[serial])?;
        let asked = Instant::now();
        self.gate.reload().await?;
        Ok(asked)
    }
}

/// How and when a transfer ended.
struct Ended {
    answer: Result<Answer, Broken>,
    at: Instant,
}

/// A law that was not put in force, as the caller and as the ledger heard it.
struct RefusedLaw {
    faults: u64,
    first: Vec<String>,
    seq: Option<u64>,
    fits: bool,
}

impl RefusedLaw {
    fn new(reloaded: &Reloaded, line: Option<Line>, stays: bool) -> Self {
        let facts = line.as_ref().and_then(|line| line.entry.get("facts"));
        let faults = facts.and_then(|facts| facts.get("faults")?.as_u64()).unwrap_or(0);
        let list = facts.and_then(|facts| facts.get("first")?.as_array());
        let text = |fault: &serde_json::Value| fault.as_str().map(str::to_owned);
        let first = list.into_iter().flatten().filter_map(text).collect();
        let is_told = reloaded.is_refused() && reloaded.policy == reloaded.was;
        let same = u64::try_from(reloaded.errors) == Ok(faults);
        let fits = stays && is_told && same && line.is_some();
        Self { faults, first, seq: line.map(|line| line.seq), fits }
    }

    fn sentence(&self) -> String {
        format!("{} {}", self.faults, if self.faults == 1 { "fault" } else { "faults" })
    }
}

fn is_accepted(line: &Line) -> bool {
    line.entry.get("facts").and_then(|facts| facts.get("accepted")?.as_bool()).unwrap_or(true)
}
