//! The parts of the service that must not end while it serves. All spawning goes through here, so that a drain
//! can wait and a panic is seen.

use std::collections::BTreeMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

/// The running parts, by name.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    parts: BTreeMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a part. Must be called inside a `LocalSet`.
    pub(super) fn spawn(&mut self, part: &'static str, task: impl Future<Output = ()> + 'static) {
        let handle = self.set.spawn_local(task);
        self.parts.insert(handle.id(), part);
    }

    /// Waits until a part ends, which none should; says which. Forever where there is none.
    pub(super) async fn ended(&mut self) -> &'static str {
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => self.name(id),
            Some(Err(error)) => self.failed(&error),
            None => std::future::pending().await,
        }
    }

    /// Ends all of them, each at its next point of waiting.
    pub(super) async fn shutdown(&mut self) {
        self.set.shutdown().await;
    }

    fn failed(&self, error: &JoinError) -> &'static str {
        let part = self.name(error.id());
        tracing::error!(part, "a part of the service has panicked");
        part
    }

    fn name(&self, id: Id) -> &'static str {
        self.parts.get(&id).copied().unwrap_or("service")
    }
}

/// Tasks that come and go, a bounded number at a time. One that panics harms nobody but itself.
#[derive(Debug)]
pub(super) struct Guests {
    set: JoinSet<()>,
    max: usize,
}

impl Guests {
    /// Room for `max` at a time.
    pub(super) fn new(max: usize) -> Self {
        Self { set: JoinSet::new(), max }
    }

    /// Starts one; `false`, and it is dropped, where all room is taken.
    pub(super) fn admit(&mut self, task: impl Future<Output = ()> + 'static) -> bool {
        self.reap();
        let room = self.set.len() < self.max;
        if room {
            self.set.spawn_local(task);
        }
        room
    }

    /// Those that have ended make room; what one of them panicked with is on standard error already.
    fn reap(&mut self) {
        while let Some(ended) = self.set.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("an answer to the outside has panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::LocalSet;

    use super::{Guests, Tasks};

    #[tokio::test]
    async fn a_part_that_panics_or_ends_is_named() {
        LocalSet::new()
            .run_until(async {
                let mut tasks = Tasks::default();
                tasks.spawn("steady", std::future::pending());
                tasks.spawn("fragile", async { panic!("on purpose") });
                assert_eq!(tasks.ended().await, "fragile");
                tasks.spawn("brief", async {});
                assert_eq!(tasks.ended().await, "brief");
            })
            .await;
    }

    #[tokio::test]
    async fn guests_beyond_the_room_are_turned_away_until_one_leaves() {
        LocalSet::new()
            .run_until(async {
                let mut guests = Guests::new(2);
                assert!(guests.admit(tokio::time::sleep(Duration::from_millis(1))));
                assert!(guests.admit(std::future::pending()));
                assert!(!guests.admit(std::future::pending()));
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(guests.admit(async { panic!("on purpose") }));
                tokio::task::yield_now().await;
                assert!(guests.admit(std::future::pending()), "a panicking guest has left too");
            })
            .await;
    }
}
