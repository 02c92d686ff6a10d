//! The same law as an nftables ruleset, for what never reaches the proxy: deny by default on the lines and on the
//! union's interfaces. Text only, and always the same for the same law; who loads it is not here.
//!
//! What the kernel can know is addresses and ports. From the union's side TCP comes to a
//! listener, which judges it; from a line to a `refuse` listener, wherever it wanted to go, so that the ledger sees it; everything else is
//! refused and counted, what a system that may never initiate tried under its own name. Outward the proxy's user
//! reaches the endpoints of the law and nothing else. Dates and declarations are the proxy's: an endpoint that is
//! dialled only at times is in the set at all times, one that is never dialled is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::address;
use super::compile::{names, prefixes};
use super::model::{Dial, Model};
use crate::appliance::{Appliance, Line, Mode};
use crate::flow::Name;

/// What the kernel has to know besides law and box.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The user that the proxy runs as: a name or a number.
    pub user: String,
    /// The interfaces of the union's side; none are closed where none are named.
    pub union: Vec<String>,
}

/// The ruleset, to be loaded with `nft -f`: it replaces its own table and touches no other, in one step.
pub fn ruleset(model: &Model, appliance: &Appliance, kernel: &Kernel) -> String {
    let writing = Writing { model, appliance, kernel };
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _infallible = writing.table(&mut text);
    text
}

struct Writing<'a> {
    model: &'a Model,
    appliance: &'a Appliance,
    kernel: &'a Kernel,
}

impl Writing<'_> {
    fn table(&self, out: &mut String) -> fmt::Result {
        let appliance = &self.appliance.name;
        writeln!(
            out,
            "# The law of `{appliance}` for the kernel, made by `sekisho nft`; load it with `nft -f`."
        )?;
        writeln!(out, "add table inet sekisho\ndelete table inet sekisho\ntable inet sekisho {{")?;
        self.counters(out)?;
        self.sets(out)?;
        self.prerouting(out)?;
        self.input(out)?;
        self.forward(out)?;
        self.output(out)?;
        writeln!(out, "}}")
    }

    fn counters(&self, out: &mut String) -> fmt::Result {
        for name in self.closed().map(counter).chain(COUNTERS.map(str::to_owned)) {
            writeln!(out, "  counter {name} {{ }}")?;
        }
        Ok(())
    }

    fn sets(&self, out: &mut String) -> fmt::Result {
        for (system, written) in &self.model.systems {
            if !self.is_closed(system) {
                continue;
            }
            let nets: BTreeSet<IpNet> = prefixes(written).collect();
            for family in Family::ALL {
                let own = nets.iter().filter(|net| family.has(net.addr())).map(ToString::to_string);
                interval_set(out, &addresses(system, family), family, own)?;
            }
        }
        for family in Family::ALL {
            let bound = self.bound(|_| true).into_iter().filter(|it| family.has(it.ip()));
            socket_set(out, &format!("listeners_{family}"), family, bound)?;
            let refusing = self.refusing().into_iter().filter(|it| family.has(it.ip()));
            socket_set(out, &format!("refusing_{family}"), family, refusing)?;
            for (line, endpoints) in self.endpoints() {
                let own = endpoints.into_iter().filter(|it| family.has(it.ip()));
                socket_set(out, &format!("endpoints_{}_{family}", own_name(line)), family, own)?;
            }
        }
        Ok(())
    }

    /// TCP from a line that finds no listener is led to one that refuses, before it is routed anywhere.
    fn prerouting(&self, out: &mut String) -> fmt::Result {
        let refusing = self.refusing();
        chain(out, "prerouting", "nat", "dstnat", |out| {
            for family in Family::ALL {
                let Some(refuse) = refusing.iter().find(|it| family.has(it.ip())) else { continue };
                let (ip, lines) = (family.protocol(), self.lines());
                for system in self.closed() {
                    let (set, counter) = (addresses(system, family), counter(system));
                    writeln!(
                        out,
                        "    iifname {lines} {ip} saddr @{set} meta l4proto tcp {ip} daddr . tcp dport != @refusing_{family} counter name {counter}"
                    )?;
                }
                let to = socket_text(*refuse);
                writeln!(
                    out,
                    "    iifname {lines} meta nfproto {} meta l4proto tcp {ip} daddr . tcp dport != @refusing_{family} counter name redirected dnat {ip} to {to}",
                    family.nfproto()
                )?;
            }
            Ok(())
        })
    }

    fn input(&self, out: &mut String) -> fmt::Result {
        chain(out, "input", "filter", "filter", |out| {
            writeln!(out, "    ct state established,related accept")?;
            let named = self.named();
            writeln!(
                out,
                "    iifname {named} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }} accept"
            )?;
            for family in Family::ALL {
                let ip = family.protocol();
                let lines = self.lines();
                writeln!(
                    out,
                    "    iifname {lines} {ip} daddr . tcp dport @refusing_{family} accept"
                )?;
                if !self.kernel.union.is_empty() {
                    let union = interfaces(self.kernel.union.iter().map(String::as_str));
                    writeln!(
                        out,
                        "    iifname {union} {ip} daddr . tcp dport @listeners_{family} accept"
                    )?;
                }
                for system in self.closed() {
                    let (set, counter) = (addresses(system, family), counter(system));
                    writeln!(
                        out,
                        "    iifname {named} {ip} saddr @{set} counter name {counter} drop"
                    )?;
                }
            }
            writeln!(out, "    iifname {named} counter name refused drop")
        })
    }

    /// This box is a path for nobody.
    fn forward(&self, out: &mut String) -> fmt::Result {
        chain(out, "forward", "filter", "filter", |out| {
            let named = self.named();
            for family in Family::ALL {
                let ip = family.protocol();
                for system in self.closed() {
                    let (set, counter) = (addresses(system, family), counter(system));
                    writeln!(
                        out,
                        "    iifname {named} {ip} saddr @{set} counter name {counter} drop"
                    )?;
                }
            }
            writeln!(out, "    iifname {named} counter name forwarded drop")?;
            writeln!(out, "    oifname {named} counter name forwarded drop")
        })
    }

    /// The proxy's user reaches the endpoints of the law on their lines; a line carries nothing of anybody else.
    fn output(&self, out: &mut String) -> fmt::Result {
        chain(out, "output", "filter", "filter", |out| {
            writeln!(out, "    ct state established,related accept")?;
            writeln!(out, "    oifname \"lo\" accept")?;
            let (named, user) = (self.named(), &self.kernel.user);
            writeln!(
                out,
                "    oifname {named} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept"
            )?;
            for (name, line) in &self.appliance.lines {
                self.way_out(out, name, line)?;
            }
            writeln!(out, "    meta skuid {user} counter name outward drop")?;
            writeln!(out, "    oifname {} counter name outward drop", self.lines())
        })
    }

    fn way_out(&self, out: &mut String, name: &Name, line: &Line) -> fmt::Result {
        let family = Family::of(line.source);
        let (ip, source, user) = (family.protocol(), line.source, &self.kernel.user);
        let (interface, set) = (quoted(&line.interface), own_name(name));
        writeln!(
            out,
            "    meta skuid {user} oifname {interface} {ip} saddr {source} {ip} daddr . tcp dport @endpoints_{set}_{family} accept"
        )
    }

    /// The socket addresses of listeners whose mode is so, each once.
    fn bound(&self, is_so: impl Fn(&Mode) -> bool) -> BTreeSet<SocketAddr> {
        let listeners = self.appliance.listeners.values().filter(|it| is_so(&it.mode));
        listeners.flat_map(|listener| listener.bind.iter().copied()).collect()
    }

    /// The only listeners that somebody on a line may come to.
    fn refusing(&self) -> BTreeSet<SocketAddr> {
        self.bound(|mode| matches!(mode, Mode::Refuse))
    }

    /// What may ever be dialled, by line.
    fn endpoints(&self) -> BTreeMap<&Name, BTreeSet<SocketAddr>> {
        let mut found: BTreeMap<&Name, BTreeSet<SocketAddr>> =
            self.appliance.lines.keys().map(|line| (line, BTreeSet::new())).collect();
        let ever =
            |site: &Name| self.model.sites.get(site).is_some_and(|it| it.dial != Dial::Never);
        let ruled: BTreeSet<&Name> = self.model.rules.values().map(|rule| &rule.to).collect();
        let systems = self.model.systems.iter().filter(|(name, _)| ruled.contains(name));
        for upstream in systems.filter_map(|(_, system)| system.upstream.as_ref()) {
            let Some(line) = found.get_mut(&upstream.line) else { continue };
            let dialled = upstream.endpoints.iter().filter(|endpoint| ever(&endpoint.site));
            line.extend(dialled.map(|endpoint| address::canonical_socket(endpoint.address)));
        }
        found
    }

    fn closed(&self) -> impl Iterator<Item = &Name> {
        self.model.systems.keys().filter(|name| self.is_closed(name))
    }

    fn is_closed(&self, system: &Name) -> bool {
        names(self.model.guardrails.reverse_access.as_ref(), system)
    }

    fn lines(&self) -> String {
        interfaces(self.appliance.lines.values().map(|line| line.interface.as_str()))
    }

    /// Every interface on which nothing passes by default.
    fn named(&self) -> String {
        let lines = self.appliance.lines.values().map(|line| line.interface.as_str());
        interfaces(lines.chain(self.kernel.union.iter().map(String::as_str)))
    }
}

/// What is counted besides the tries of each system that may never initiate.
const COUNTERS: [&str; 4] = ["redirected", "refused", "forwarded", "outward"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn has(self, address: IpAddr) -> bool {
        Self::of(address) == self
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    const fn nfproto(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

/// A name of the law as nftables takes one everywhere; the law's names have no `_`, so that no two meet.
fn own_name(name: &Name) -> String {
    name.as_str().replace('-', "_")
}

fn addresses(system: &Name, family: Family) -> String {
    format!("addresses_{}_{family}", own_name(system))
}

fn counter(system: &Name) -> String {
    format!("reverse_{}", own_name(system))
}

/// An interface as a text: what the box file calls it ends no quote.
fn quoted(interface: &str) -> String {
    format!("\"{}\"", interface.replace(['"', '\\', '\n'], ""))
}

fn interfaces(all: impl Iterator<Item: AsRef<str>>) -> String {
    let each: BTreeSet<String> = all.map(|name| quoted(name.as_ref())).collect();
    format!("{{ {} }}", each.into_iter().collect::<Vec<_>>().join(", "))
}

fn socket_text(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(v4) => format!("{v4}:{}", address.port()),
        IpAddr::V6(v6) => format!("[{v6}]:{}", address.port()),
    }
}

fn interval_set(
    out: &mut String,
    name: &str,
    family: Family,
    elements: impl Iterator<Item = String>,
) -> fmt::Result {
    let kind = format!("type {}_addr; flags interval; auto-merge", family.nfproto());
    set(out, name, &kind, &elements.collect::<Vec<_>>())
}

fn socket_set(
    out: &mut String,
    name: &str,
    family: Family,
    elements: impl Iterator<Item = SocketAddr>,
) -> fmt::Result {
    let kind = format!("type {}_addr . inet_service", family.nfproto());
    let text = |it: SocketAddr| format!("{} . {}", it.ip(), it.port());
    set(out, name, &kind, &elements.map(text).collect::<Vec<_>>())
}

/// A set; an empty one has no list of elements.
fn set(out: &mut String, name: &str, kind: &str, elements: &[String]) -> fmt::Result {
    if elements.is_empty() {
        return writeln!(out, "  set {name} {{ {kind}; }}");
    }
    writeln!(out, "  set {name} {{ {kind};")?;
    writeln!(out, "    elements = {{ {} }}\n  }}", elements.join(", "))
}

fn chain(
    out: &mut String,
    hook: &str,
    kind: &str,
    priority: &str,
    fill: impl FnOnce(&mut String) -> fmt::Result,
) -> fmt::Result {
    writeln!(
        out,
        "  chain {hook} {{\n    type {kind} hook {hook} priority {priority}; policy accept;"
    )?;
    fill(out)?;
    writeln!(out, "  }}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{Kernel, ruleset};
    use crate::appliance;
    use crate::policy::understand;
    use crate::yaml::SourceFile;

    fn tokyo() -> String {
        let file = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name);
            SourceFile { name: Arc::from(name), bytes: std::fs::read(path).unwrap().into() }
        };
        let files: Vec<_> = ["00-council", "10-systems", "20-rules"]
            .map(|name| file(&format!("tokyo/{name}.yaml")))
            .into();
        let appliance = appliance::understand(&file("tokyo.appliance.yaml")).unwrap();
        let law = understand(&files, Some(&appliance)).unwrap();
        let kernel = Kernel { user: "sekisho".to_owned(), union: vec!["eth0".to_owned()] };
        ruleset(law.engine.model(), &appliance, &kernel)
    }

    #[test]
    fn the_shipped_law_is_this_ruleset() {
        insta::assert_snapshot!(tokyo());
    }

    #[test]
    fn the_same_law_is_the_same_text() {
        assert_eq!(tokyo(), tokyo());
    }
}
