//! What a subject must refuse before its figures count: papers that are missing or a stranger's, paths that nobody
//! permitted, an upstream that is not who it says; and that nobody gives a ticket to resume with. Not how fast.

use std::io;

use crate::client::{Caller, Paper, SMALL};
use crate::door::Door;
use crate::site::{Site, source};
use crate::subject::{Candidate, Running};

/// A path under no rule.
const ELSEWHERE: &str = "/elsewhere/small";

/// What was refused, and with which words.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What was tried.
    pub(crate) attempt: String,
    /// What came back: a status, or how the connection ended.
    pub(crate) answer: String,
}

/// Tries all that a running subject must refuse.
///
/// # Errors
/// Where something was not refused, or the permitted request was given a ticket.
pub(crate) fn refusals(site: &Site, running: &Running) -> io::Result<Vec<Refusal>> {
    let mut refused = Vec::new();
    for door in [running.https, running.tls] {
        no_ticket(site, &door)?;
        for paper in [Paper::Missing, Paper::Stranger] {
            let attempt = format!("{}, certificate {}", door.way.as_str(), paper.as_str());
            refused.push(must_refuse(site, &door, paper, SMALL, attempt)?);
        }
    }
    if running.upstream.is_some() {
        let attempt = format!("https, path {ELSEWHERE}");
        refused.push(must_refuse(site, &running.https, Paper::Permitted, ELSEWHERE, attempt)?);
        let attempt = "upstream, certificate missing".to_owned();
        refused.push(must_refuse(site, &running.behind, Paper::Missing, SMALL, attempt)?);
    }
    Ok(refused)
}

/// Starts a subject before an upstream whose certificate nobody trusts, then before the true one: by both ways the
/// first must be refused and the second pass, in the same process.
///
/// # Errors
/// Where it is otherwise.
pub(crate) fn whole(site: &Site, candidate: &Candidate) -> io::Result<Vec<Refusal>> {
    let impostor = candidate.stand_in(site, "impostor")?;
    let mut running = candidate.start_before(site, impostor)?;
    let mut refused = Vec::new();
    if running.upstream.is_some() {
        running.wait_for_hello(site)?;
        for door in [running.https, running.tls] {
            let attempt = format!("{}, upstream a stranger", door.way.as_str());
            refused.push(must_refuse(site, &door, Paper::Permitted, SMALL, attempt)?);
        }
    }
    running.upstream = None;
    running.upstream = candidate.stand_in(site, "upstream")?;
    for door in [running.https, running.tls] {
        running.wait_for(site, &door)?;
    }
    refused.extend(refusals(site, &running)?);
    Ok(refused)
}

fn must_refuse(
    site: &Site,
    door: &Door,
    paper: Paper,
    path: &str,
    attempt: String,
) -> io::Result<Refusal> {
    let answer = match Caller::new(site, door, paper)?.once(source(0), path) {
        Ok(200) => return Err(io::Error::other(format!("it let pass: {attempt}"))),
        Ok(status) => status.to_string(),
        Err(error) if is_refusal(&error) => ending(&error),
        Err(error) => return Err(io::Error::other(format!("no refusal of {attempt}: {error}"))),
    };
    Ok(Refusal { attempt, answer })
}

impl Paper {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Missing => "missing",
            Self::Stranger => "a stranger's",
        }
    }
}

/// A connection that was ended by the other side, with an alert or without; not one that nobody answered.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// An alert by its name; else the connection just ended.
fn ending(error: &io::Error) -> String {
    let text = error.to_string();
    let alert = text.rsplit_once("alert: ").map(|(_, alert)| format!("alert {alert}"));
    alert.unwrap_or_else(|| "closed".to_owned())
}

fn no_ticket(site: &Site, door: &Door) -> io::Result<()> {
    let caller = Caller::new(site, door, Paper::Permitted)?;
    let mut connection = caller.open_exact(source(0))?;
    connection.ask(&caller.get(SMALL))?;
    match connection.tickets() {
        0 => Ok(()),
        count => Err(io::Error::other(format!(
            "{count} tickets to resume with, by {}",
            door.way.as_str()
        ))),
    }
}
