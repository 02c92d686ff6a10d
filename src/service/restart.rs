//! What of the box file cannot change while the service runs: sockets are bound, files are open, the ledger's
//! writer has its settings. Everything else is taken live with the law.

use std::fmt::{Debug, Display};

use crate::appliance::{Appliance, Listener};
use crate::flow::Name;
use crate::yaml::{Fault, Faults, Place, Severity};

/// The differences that need a restart; none where `offered` can be taken live.
pub(super) fn needed(running: &Appliance, offered: &Appliance) -> Faults {
    let mut faults: Vec<Fault> = settings(running, offered).into_iter().flatten().collect();
    for (name, listener) in &offered.listeners {
        faults.extend(added_or_moved(name, listener, running.listeners.get(name)));
    }
    for name in running.listeners.keys().filter(|name| !offered.listeners.contains_key(*name)) {
        faults.push(fault(format!("listener `{name}` cannot go while the service runs"), None));
    }
    Faults(faults)
}

fn settings(running: &Appliance, offered: &Appliance) -> [Option<Fault>; 9] {
    let (old, new) = (running, offered);
    [
        differs("name", &old.name, &new.name),
        differs("state", &old.state.display(), &new.state.display()),
        differs("control", &old.control.display(), &new.control.display()),
        differs("admin.bind", &old.admin.bind, &new.admin.bind),
        differs(
            "ledger.directory",
            &old.ledger.directory.display(),
            &new.ledger.directory.display(),
        ),
        differs(
            "ledger.when_unwritable",
            &written(old.ledger.when_unwritable),
            &written(new.ledger.when_unwritable),
        ),
        differs("ledger.sync", &written(old.ledger.sync), &written(new.ledger.sync)),
        differs(
            "limits.sync_timeout",
            &written(old.limits.sync_timeout),
            &written(new.limits.sync_timeout),
        ),
        differs("limits.disk_reserve", &old.limits.disk_reserve, &new.limits.disk_reserve),
    ]
}

/// As the box file has it: `refuse`, `50ms`.
fn written(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn differs(key: &str, old: &dyn Display, new: &dyn Display) -> Option<Fault> {
    let (old, new) = (old.to_string(), new.to_string());
    let message = || format!("`{key}` is `{old}` and cannot become `{new}` while the service runs");
    (old != new).then(|| fault(message(), None))
}

fn added_or_moved(name: &Name, offered: &Listener, running: Option<&Listener>) -> Option<Fault> {
    let message = match running {
        None => format!("listener `{name}` cannot come while the service runs"),
        Some(running) if running.bind != offered.bind => {
            format!("the addresses of listener `{name}` cannot change while the service runs")
        }
        Some(_) => return None,
    };
    Some(fault(message, Some(&offered.place)))
}

fn fault(message: String, place: Option<&Place>) -> Fault {
    Fault {
        code: "needs_restart",
        severity: Severity::Error,
        message,
        places: place.map(|place| (place.clone(), String::new())).into_iter().collect(),
        notes: Vec::new(),
        remedy: Some("put it back and reload, or restart the service".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::needed;
    use crate::appliance::{Appliance, Mode, WhenUnwritable};
    use crate::flow::Name;
    use crate::service::testing;

    fn after(change: impl FnOnce(&mut Appliance)) -> Vec<String> {
        let running = testing::appliance();
        let mut offered = running.clone();
        change(&mut offered);
        let faults = needed(&running, &offered).0;
        assert!(faults.iter().all(|fault| fault.code == "needs_restart"));
        faults.into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn what_the_connections_lean_on_is_taken_live() {
        let faults = after(|offered| {
            offered.limits.connections = 7;
            offered.limits.drain_timeout = Duration::from_secs(1);
            offered.lines.clear();
            offered.certificates.clear();
            offered.admin.allow.clear();
            offered.ledger.retain = Duration::from_secs(1);
            offered.listeners.values_mut().for_each(|listener| listener.mode = Mode::Refuse);
        });
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn what_is_bound_or_open_needs_a_restart_each_by_its_name() {
        let faults = after(|offered| {
            offered.name = Name::parse("another").unwrap();
            offered.state.push("else");
            offered.control.push("else");
            offered.admin.bind.set_port(1);
            offered.ledger.directory.push("else");
            offered.ledger.when_unwritable = WhenUnwritable::Continue;
            offered.ledger.sync = Duration::from_millis(7);
            offered.limits.sync_timeout = Duration::from_secs(9);
            offered.limits.disk_reserve = 5;
        });
        let keys = [
            "name",
            "state",
            "control",
            "admin.bind",
            "ledger.directory",
            "ledger.when_unwritable",
            "ledger.sync",
            "limits.sync_timeout",
            "limits.disk_reserve",
        ];
        assert_eq!(faults.len(), keys.len());
        for (fault, key) in faults.iter().zip(keys) {
            assert!(fault.starts_with(&format!("`{key}` is ")), "{fault}");
        }
        assert!(faults[5].contains("`refuse` and cannot become `continue`"), "{}", faults[5]);
        assert!(faults[6].contains("`50ms` and cannot become `7ms`"), "{}", faults[6]);
    }

    #[test]
    fn a_listener_can_neither_come_nor_go_nor_move() {
        let lan = Name::parse("union-lan").unwrap();
        let moved = after(|offered| {
            let listener = offered.listeners.get_mut(&lan).unwrap();
            listener.bind = vec!["127.0.0.9:8443".parse().unwrap()];
        });
        assert_eq!(
            moved,
            ["the addresses of listener `union-lan` cannot change while the service runs"]
        );
        let renamed = after(|offered| {
            let listener = offered.listeners.remove(&lan).unwrap();
            offered.listeners.insert(Name::parse("lan").unwrap(), listener);
        });
        assert_eq!(
            renamed,
            [
                "listener `lan` cannot come while the service runs",
                "listener `union-lan` cannot go while the service runs",
            ]
        );
    }
}
