//! The one place where the running program reads the time of day, and where a connection's task reads the time that passes:
//! once each time it is woken.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::flow::Timestamp;

thread_local! {
    /// When the task that runs now was woken.
    static WOKEN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the task that runs now was woken: near enough for every bound, none of which is shorter than a task runs at a time.
/// Outside of a [`punctual`] one, now.
pub(super) fn woken() -> Instant {
    WOKEN.get().unwrap_or_else(Instant::now)
}

/// Runs `task`, with the clock read once each time it is woken.
pub(super) async fn punctual<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    poll_fn(|context| {
        let _asleep_again = Awake::new();
        task.as_mut().poll(context)
    })
    .await
}

/// While it lives, the task runs; also a panic ends that.
struct Awake;

impl Awake {
    fn new() -> Self {
        WOKEN.set(Some(Instant::now()));
        Self
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        WOKEN.set(None);
    }
}

/// The length of an IMF-fixdate.
const HTTP_DATE: usize = 29;

thread_local! {
    /// What was last said as the date, and the second it was for.
    static DATE: Cell<(u64, [u8; HTTP_DATE])> = const { Cell::new((0, [0; HTTP_DATE])) };
}

/// The time of day as `Date` has it (RFC 9110 §5.6.7); written anew once a second.
pub(super) fn http_date() -> [u8; HTTP_DATE] {
    let now = system();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (known, text) = DATE.get();
    if known == second && second > 0 {
        return text;
    }
    let mut text = [b' '; HTTP_DATE];
    for (place, byte) in text.iter_mut().zip(httpdate::fmt_http_date(now).bytes()) {
        *place = byte;
    }
    DATE.set((second, text));
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that reads the clock for everybody below it"
)]
fn system() -> SystemTime {
    SystemTime::now()
}

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::from(system())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{http_date, punctual, woken};

    #[test]
    fn a_date_is_the_one_of_now() {
        let text = http_date();
        let read = httpdate::parse_http_date(std::str::from_utf8(&text).unwrap()).unwrap();
        let age = super::system().duration_since(read).unwrap();
        assert!(age < Duration::from_secs(2), "{age:?}");
        assert!(text.ends_with(b" GMT"));
    }

    #[tokio::test]
    async fn a_task_sees_one_moment_until_it_sleeps_and_others_see_the_time_pass() {
        punctual(async {
            let first = woken();
            std::thread::sleep(Duration::from_millis(2));
            assert_eq!(woken(), first);
            sleep(Duration::from_millis(2)).await;
            assert!(woken() >= first + Duration::from_millis(4), "it was woken anew");
        })
        .await;
        let before = Instant::now();
        assert!(woken() >= before, "nobody is awake");
    }
}
