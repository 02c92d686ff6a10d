//! The one place where the running program reads the time of day.

use crate::flow::Timestamp;

/// The time of day.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that reads the clock for everybody below it"
)]
pub fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}
