//! Signs of life of the loops that must not stand still: the watchdog asks for them before it pings. A loop
//! that is busy is alive as long as it comes round again in time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// One loop's sign of life.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Rc<Cell<Instant>>);

/// Everybody's.
#[derive(Debug, Default)]
pub(super) struct Pulses(Vec<(&'static str, Pulse)>);

impl Pulse {
    /// The loop has come round.
    pub(super) fn beat(&self) {
        self.0.set(Instant::now());
    }
}

impl Pulses {
    /// A pulse for a loop; it counts as alive from now.
    pub(super) fn of(&mut self, part: &'static str) -> Pulse {
        let pulse = Pulse(Rc::new(Cell::new(Instant::now())));
        self.0.push((part, pulse.clone()));
        pulse
    }

    /// A loop whose last beat is older than `longest`.
    pub(super) fn missing(&self, longest: Duration) -> Option<&'static str> {
        let stale = |pulse: &Pulse| pulse.0.get().elapsed() > longest;
        self.0.iter().find(|(_, pulse)| stale(pulse)).map(|(part, _)| *part)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pulses;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_missed_and_one_that_beats_is_not() {
        let mut pulses = Pulses::default();
        let (first, second) = (pulses.of("control"), pulses.of("clockwork"));
        let longest = Duration::from_secs(10);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(pulses.missing(longest), None);
        first.beat();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pulses.missing(longest), Some("clockwork"));
        second.beat();
        assert_eq!(pulses.missing(longest), None);
    }
}
