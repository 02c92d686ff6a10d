//! The latency of a permitted client in an open loop: requests are due at fixed moments whether or not the last one
//! was answered. One that had to wait for the last answer counts from the moment it was due, so that a stall is seen by
//! everyone who waits behind it; one that had nothing to wait for counts from the moment its client woke, since how late
//! that was is the doing of the client's own machine, and is shown apart.

use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

use crate::client::{Caller, Exact, SMALL};
use crate::figure::percentile;
use crate::site::source;

/// Requests on each connection before it counts.
const WARM_UP: usize = 20;

/// From the last connection opened to the first request.
const SILENCE: Duration = Duration::from_millis(50);

/// From the first request to the first that counts: after a silence, from a thread just begun, the first are slow with
/// every subject.
const RUN_UP: Duration = Duration::from_millis(50);

/// How long the subject may refuse before a window is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Requests a second, all connections together.
    pub(crate) rate: u32,
    /// Connections that take turns.
    pub(crate) connections: u32,
    /// For how long.
    pub(crate) length: Duration,
}

/// What it saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The median.
    pub(crate) p50: Duration,
    /// The 99th of 100.
    pub(crate) p99: Duration,
    /// The longest.
    pub(crate) most: Duration,
    /// How late the client itself woke to send, the 99th of 100: the part of the figures that is its own machine's.
    pub(crate) late: Duration,
    /// Requests that were answered.
    pub(crate) answered: usize,
    /// Requests that were not.
    pub(crate) failed: usize,
}

/// What it saw, request by request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    times: Vec<Duration>,
    late: Vec<Duration>,
    failed: usize,
}

/// One window.
///
/// # Errors
/// As [`slice`].
pub(crate) fn window(caller: &Caller, pace: Pace) -> io::Result<Seen> {
    slice(caller, pace).map(Tally::seen)
}

/// A window, or a part of one. The connections are opened before it begins.
///
/// # Errors
/// Where they cannot be.
pub(crate) fn slice(caller: &Caller, pace: Pace) -> io::Result<Tally> {
    let open = (0..pace.connections).map(|_| ready(caller)).collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now() + SILENCE;
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let turns = (0..).zip(open);
        let run = |(turn, connection)| {
            scope.spawn(move || take_turns(caller, connection, pace, turn, start))
        };
        let threads: Vec<_> = turns.map(run).collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => tally.add(&part),
                Err(_panicked) => tally.failed += 1,
            }
        }
    });
    Ok(tally)
}

/// Tries until it works, since an edge may be closed for a moment (a disk that does not sync); its log says why.
fn ready(caller: &Caller) -> io::Result<Exact> {
    let began = Instant::now();
    loop {
        match warm(caller) {
            Err(_refused) if began.elapsed() < PATIENCE => std::thread::sleep(SILENCE),
            opened => return opened,
        }
    }
}

fn warm(caller: &Caller) -> io::Result<Exact> {
    let mut connection = caller.open_exact(source(0))?;
    let request = caller.get(SMALL);
    for _ in 0..WARM_UP {
        connection.ask(&request)?;
    }
    Ok(connection)
}

/// Every `connections`-th request from `turn` on.
fn take_turns(caller: &Caller, first: Exact, pace: Pace, turn: u32, start: Instant) -> Tally {
    // The kernel may else be 50 µs late with every wake.
    let _late_then = set_current_timer_slack(NonZeroU64::new(1));
    let request = caller.get(SMALL);
    let mut tally = Tally::default();
    let mut connection = Some(first);
    let mut number = turn;
    loop {
        let offset = Duration::from_secs(1) * number / pace.rate;
        if offset >= RUN_UP + pace.length {
            return tally;
        }
        let counts = offset >= RUN_UP;
        let due = start + offset;
        let from = match due.checked_duration_since(Instant::now()) {
            Some(early) => {
                std::thread::sleep(early);
                let woken = Instant::now();
                if counts {
                    tally.late.push(woken - due);
                }
                woken
            }
            // The last reply came after this moment: the delay is the subject's.
            None => due,
        };
        connection = ask(caller, connection, &request);
        match &connection {
            Some(_) if counts => tally.times.push(from.elapsed()),
            Some(_) => {}
            None => tally.failed += 1,
        }
        number += pace.connections;
    }
}

/// Asks on the connection, or on a new one where the last broke; the time it takes to open counts.
fn ask(caller: &Caller, connection: Option<Exact>, request: &[u8]) -> Option<Exact> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => caller.open_exact(source(0)).ok()?,
    };
    let reply = connection.ask(request).ok()?;
    (reply.status == 200).then_some(connection)
}

impl Tally {
    /// Takes in what another saw.
    pub(crate) fn add(&mut self, part: &Self) {
        self.times.extend_from_slice(&part.times);
        self.late.extend_from_slice(&part.late);
        self.failed += part.failed;
    }

    /// In a few figures.
    pub(crate) fn seen(mut self) -> Seen {
        self.times.sort_unstable();
        self.late.sort_unstable();
        Seen {
            p50: percentile(&self.times, 0.5),
            p99: percentile(&self.times, 0.99),
            most: percentile(&self.times, 1.0),
            late: percentile(&self.late, 0.99),
            answered: self.times.len(),
            failed: self.failed,
        }
    }
}
