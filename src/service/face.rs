//! The running service as it is seen from outside: by the control socket, by the admin port, by a signal.

use std::net::IpAddr;

use super::admin::Shown;
use super::control::{Callee, Caller, Outcome};
use super::page;
use super::running::{Readiness, Running};
use super::{Reloaded, Report};
use crate::ledger::Body;
use crate::policy::Masked;

impl Callee for Running {
    fn report(&self) -> Report {
        Self::report(self)
    }

    async fn reload(&self) -> Option<Reloaded> {
        Self::reload(self).await
    }

    async fn record(&self, caller: Caller, call: &'static str, outcome: Outcome) {
        self.record_operation(caller, call, outcome).await;
    }
}

impl Shown for Running {
    fn admits(&self, peer: IpAddr) -> bool {
        self.in_force().loaded.appliance.admin.allow.iter().any(|net| net.contains(&peer))
    }

    fn exposition(&self) -> String {
        Self::exposition(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn page(&self) -> String {
        page::html(&Self::report(self))
    }
}

impl Running {
    /// An operator's call, in the ledger.
    pub(super) async fn record_operation(
        &self,
        caller: Caller,
        call: &'static str,
        outcome: Outcome,
    ) {
        let policy = self.in_force().loaded.digest;
        let body = Body::Operation {
            call: Masked::own(call),
            uid: caller.uid,
            pid: caller.pid,
            outcome: Masked::own(outcome.word()),
            detail: Vec::new(),
        };
        if self.append(policy, body).await.is_err() {
            tracing::error!(
                call,
                "an operator's call could not be recorded: the ledger cannot be written"
            );
        }
    }

    /// SIGHUP: a reload whose caller is not known and is not told.
    pub(super) async fn reload_by_signal(&self) {
        let outcome = match self.reload().await {
            Some(reloaded) if !reloaded.is_refused() => Outcome::Ok,
            Some(_) => Outcome::Refused,
            None => Outcome::Error,
        };
        self.record_operation(Caller::default(), "reload", outcome).await;
    }
}
