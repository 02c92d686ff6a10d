//! Gathering the report: what the running service knows of itself at one moment.

use std::path::Path;

use super::ending::{self, Dates};
use super::line;
use super::running::{InForce, Phase, Running, next_updates};
use super::status::{
    self, ConnectionReport, EndingReport, EndpointReport, LedgerReport, LineReport, PolicyReport,
    Report,
};
use crate::appliance::Line;
use crate::flow::{Name, Timestamp};
use crate::ledger::note::encode;
use crate::proxy::clock;
use crate::source::Loaded;

impl Running {
    pub(super) fn report(&self) -> Report {
        let InForce { loaded, since, origin, matches_disk } = self.in_force();
        let at = clock::now();
        let model = loaded.law.engine.model();
        Report {
            format: status::FORMAT.to_owned(),
            appliance: loaded.appliance.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: self.state_word().to_owned(),
            started: self.started.0.to_string(),
            uptime_seconds: self.started.1.elapsed().as_secs(),
            boot: self.ledger().boot(),
            now: at.to_string(),
            offset_seconds: model.timezone.offset,
            policy: PolicyReport {
                digest: loaded.digest.to_string(),
                since: since.to_string(),
                origin: origin.word().to_owned(),
                matches_disk,
            },
            reload: self.last_reload.borrow().clone(),
            connections: ConnectionReport {
                open: self.proxy().map_or(0, |proxy| proxy.connections()),
                limit: loaded.appliance.limits.connections,
            },
            ledger: self.ledger_report(),
            endpoints: self.endpoint_reports(&loaded),
            lines: line_reports(&loaded),
            endings: ending_reports(&loaded, at),
        }
    }

    fn state_word(&self) -> &'static str {
        match self.phase.get() {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        }
    }

    fn ledger_report(&self) -> LedgerReport {
        let stats = self.ledger().stats();
        LedgerReport {
            head: stats.durable,
            writable: stats.writable,
            lost: stats.lost,
            free_bytes: stats.free,
            signed: stats.checkpoint.as_ref().map_or(0, |head| head.size),
            root: stats.checkpoint.map(|head| encode(&head.root.0)),
            set_aside: stats.aside.map(|aside| aside.display().to_string()),
        }
    }

    fn endpoint_reports(&self, loaded: &Loaded) -> Vec<EndpointReport> {
        let dials = self.metrics.last_dials();
        let mut reports = Vec::new();
        for (name, system) in &loaded.law.engine.model().systems {
            for endpoint in system.upstream.iter().flat_map(|upstream| &upstream.endpoints) {
                let last = dials.iter().find(|dial| {
                    dial.system == *name
                        && dial.endpoint == endpoint.address
                        && dial.site == endpoint.site
                });
                let trip = last.and_then(|dial| dial.round_trip_min);
                reports.push(EndpointReport {
                    system: name.to_string(),
                    endpoint: endpoint.address.to_string(),
                    site: endpoint.site.to_string(),
                    state: last
                        .map_or("unknown", |dial| if dial.up { "up" } else { "down" })
                        .to_owned(),
                    round_trip_min_seconds: trip.map(|trip| trip.as_secs_f64()),
                    title: system.title.clone(),
                });
            }
        }
        reports
    }
}

fn is_up(interface: &str) -> bool {
    line::is_up(Path::new(line::INTERFACES), interface)
}

fn line_reports(loaded: &Loaded) -> Vec<LineReport> {
    let report = |(name, line): (&Name, &Line)| LineReport {
        line: name.to_string(),
        interface: line.interface.clone(),
        up: is_up(&line.interface),
    };
    loaded.appliance.lines.iter().map(report).collect()
}

fn ending_reports(loaded: &Loaded, at: Timestamp) -> Vec<EndingReport> {
    let certificates = loaded.certificates.iter();
    let dates = Dates {
        certificates: certificates.map(|(name, held)| (name.clone(), held.not_after())).collect(),
        next_updates: next_updates(loaded),
    };
    let report = |ending: ending::Ending| EndingReport {
        until: ending.until.to_string(),
        what: ending.what,
        title: ending.title,
    };
    ending::soon(loaded.law.engine.model(), &dates, at).into_iter().map(report).collect()
}
