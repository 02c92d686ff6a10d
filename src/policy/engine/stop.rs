//! What stops a rule: the kinds of facts that keep it from fitting, phase by phase, and what is nearest when
//! none is left. Guardrails are not here.

use crate::flow::{Flow, Name, Path, Request, Transport};
use crate::policy::compile::{Joined, RuleEntry, RuleId};
use crate::policy::model::{PathPattern, Protocol, SegmentPattern};
use crate::verdict::{Denied, Near, Reason, Stage};

/// The most rules that a refusal lists; the reason is found among all of them.
const NEAREST_MAX: usize = 8;

/// What is asked of a rule, in the order in which facts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Transport, listener, dates: known at arrival.
    Standing,
    /// The application protocol: known after the hello.
    Protocol,
    /// Method and path.
    Request,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Standing, Self::Protocol, Self::Request];

    fn until(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().take_while(move |phase| *phase <= self)
    }

    fn before(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().take_while(move |phase| *phase < self)
    }
}

/// The facts of one phase that stop a rule: at most three kinds.
pub(in crate::policy) type Stops = [Option<Reason>; 3];

/// The rules that may still fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool<'a> {
    pub(super) rules: &'a [RuleEntry],
    /// `None` where no rule joins source and destination.
    pub(super) joined: Option<&'a Joined>,
    pub(super) flow: &'a Flow,
}

/// What is left of a pool by every fact of the flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left<'a> {
    /// The first that fits, in the order of names.
    pub(super) first: Option<&'a RuleEntry>,
    /// One of those that fit or only observe.
    any: Option<&'a RuleEntry>,
    /// Whether there are more than that one.
    several: bool,
}

impl<'a> Left<'a> {
    /// Whether no rule is left.
    pub(super) const fn is_empty(self) -> bool {
        self.any.is_none()
    }

    /// The name of the rule, where it is exactly one.
    pub(super) fn only(self) -> Option<Name> {
        self.any.filter(|_| !self.several).map(|rule| rule.name.clone())
    }

    /// With one more that does not fit and only observes.
    fn and_observing(self, rule: &'a RuleEntry) -> Self {
        Self { any: self.any.or(Some(rule)), several: self.any.is_some(), ..self }
    }
}

impl<'a> Pool<'a> {
    /// Whether a rule is left after `phase`; if not, the refusal with the nearest.
    pub(super) fn narrow(self, phase: Phase, stage: Stage) -> Result<(), Denied> {
        match self.left(phase).next() {
            Some(_) => Ok(()),
            None => Err(self.nearest(phase, stage)),
        }
    }

    /// The rules that fit all facts up to `phase`, in the order of their names.
    pub(super) fn left(self, phase: Phase) -> impl Iterator<Item = &'a RuleEntry> {
        self.all().filter(move |rule| phase.until().all(|earlier| fits(rule, self.flow, earlier)))
    }

    /// The rule that is left after `phase`, where it is exactly one.
    pub(super) fn only(self, phase: Phase) -> Option<Name> {
        let mut left = self.left(phase);
        match (left.next(), left.next()) {
            (Some(rule), None) => Some(rule.name.clone()),
            _ => None,
        }
    }

    /// The rule that a complete flow passes by: one that it fits, else the nearest of those that only observe, with
    /// what it would be refused for.
    pub(super) fn passes_by(
        self,
        complete: impl Fn(&RuleEntry) -> bool,
    ) -> Option<(&'a RuleEntry, Option<Reason>)> {
        let kinds =
            |rule: &RuleEntry| stops(rule, self.flow, Phase::Request).into_iter().flatten().count();
        let mut left = self.left(Phase::Request).filter(|rule| complete(rule));
        let first = left.next()?;
        if kinds(first) == 0 {
            return Some((first, None));
        }
        // `min_by_key` gives the first of equals, so that names decide as everywhere.
        let nearest = std::iter::once(first).chain(left).min_by_key(|rule| kinds(rule))?;
        let would_deny = || self.nearest(Phase::Request, Stage::Request).reason;
        Some((nearest, (kinds(nearest) > 0).then(would_deny)))
    }

    /// The rules that fit every fact up to the request.
    pub(super) fn left_over(self) -> Left<'a> {
        if let Some(request) = &self.flow.request {
            return self.asked(request);
        }
        let mut left = self.left(Phase::Protocol);
        let first = left.next();
        Left { first, any: first, several: left.next().is_some() }
    }

    /// Only rules with a path that fits, and those that observe, are looked at: a request does not cost more for rules
    /// that have others.
    fn asked(self, request: &Request) -> Left<'a> {
        let known = |rule: &RuleEntry| {
            let phases = [Phase::Standing, Phase::Protocol];
            phases.into_iter().all(|phase| fits(rule, self.flow, phase))
        };
        let fits = |rule: &RuleEntry| {
            let switches = rule.upgrade || !request.upgrade;
            switches && rule.methods.contains(&request.method) && known(rule)
        };
        let Some(joined) = self.joined else { return Left::default() };
        let (mut first, mut several) = (None, false);
        joined.paths.visit(&request.path, &mut |id| {
            if first != Some(id) && self.rules.get(id).is_some_and(fits) {
                several |= first.is_some();
                first = Some(first.map_or(id, |before: RuleId| before.min(id)));
            }
        });
        let first = first.and_then(|id| self.rules.get(id));
        let observing = joined.observing.iter().filter_map(|id| self.rules.get(*id));
        let unfit =
            |rule: &&RuleEntry| known(rule) && stops(rule, self.flow, Phase::Request) != [None; 3];
        observing.filter(unfit).fold(Left { first, any: first, several }, Left::and_observing)
    }

    fn all(self) -> impl Iterator<Item = &'a RuleEntry> {
        let ids = self.joined.map_or(&[][..], |joined| &joined.ids);
        ids.iter().filter_map(move |id| self.rules.get(*id))
    }

    /// The refusal where `phase` stops every rule that came so far.
    pub(super) fn nearest(self, phase: Phase, stage: Stage) -> Denied {
        let came_far = |rule: &&RuleEntry| phase.before().all(|it| fits(rule, self.flow, it));
        let near: Vec<(&RuleEntry, Vec<Reason>)> = self
            .all()
            .filter(came_far)
            .map(|rule| (rule, stops(rule, self.flow, phase).into_iter().flatten().collect()))
            .collect();
        let fewest = near.iter().map(|(_, kinds)| kinds.len()).min().unwrap_or(0);
        let nearest = near
            .into_iter()
            .filter(|(_, kinds)| kinds.len() == fewest)
            .map(|(rule, stopped_by)| Near { rule: rule.name.clone(), stopped_by })
            .collect();
        refusal(nearest, stage)
    }
}

/// The reason is the one kind of fact that alone stops every nearest rule.
fn refusal(mut nearest: Vec<Near>, stage: Stage) -> Denied {
    let rule = match nearest.as_slice() {
        [only] => Some(only.rule.clone()),
        _ => None,
    };
    let alone = nearest.first().and_then(|near| match near.stopped_by.as_slice() {
        [kind] => Some(*kind),
        _ => None,
    });
    let same = |kind: &Reason| nearest.iter().all(|near| near.stopped_by.as_slice() == [*kind]);
    if let Some(reason) = alone.filter(same) {
        return Denied { reason, stage, rule, nearest: Vec::new() };
    }
    nearest.truncate(NEAREST_MAX);
    Denied { reason: Reason::NoRule, stage, rule, nearest }
}

pub(super) fn fits(rule: &RuleEntry, flow: &Flow, phase: Phase) -> bool {
    let stops = stops(rule, flow, phase);
    stops == [None; 3] || (rule.observes && phase == Phase::Request && is_relaxed(stops))
}

/// What a rule that observes lets pass: the facts of one request, never who asks, where to, when or in which protocol.
fn is_relaxed(stops: Stops) -> bool {
    let relaxed = |kind| matches!(kind, Reason::Method | Reason::Path | Reason::Upgrade);
    stops.into_iter().flatten().all(relaxed)
}

pub(super) fn stops(rule: &RuleEntry, flow: &Flow, phase: Phase) -> Stops {
    match phase {
        Phase::Standing => standing(rule, flow),
        Phase::Protocol => [protocol(rule, flow), None, None],
        Phase::Request => flow.request.as_ref().map_or([None; 3], |it| request(rule, it)),
    }
}

fn standing(rule: &RuleEntry, flow: &Flow) -> Stops {
    let transport = match flow.transport {
        Transport::Tcp => rule.closed.then_some(Reason::Protocol),
        Transport::Udp | Transport::Icmp | Transport::Esp | Transport::Other(_) => {
            Some(Reason::Protocol)
        }
    };
    let listener = (!takes(rule, flow.listener.as_ref())).then_some(Reason::Listener);
    [transport, listener, rule.term.refuses(flow.at)]
}

/// Whether the rule holds on this listener.
pub(super) fn takes(rule: &RuleEntry, listener: Option<&Name>) -> bool {
    match (&rule.listener, listener) {
        (Some(named), Some(here)) => named == here,
        (None, _) | (_, None) => true,
    }
}

fn protocol(rule: &RuleEntry, flow: &Flow) -> Option<Reason> {
    // Every rule speaks TLS.
    if flow.in_clear {
        return Some(Reason::Protocol);
    }
    let agreed = flow.hello.as_ref().is_some_and(|hello| hello.alpn.is_some());
    match rule.protocol {
        Protocol::Tls if agreed => Some(Reason::Protocol),
        Protocol::Tls | Protocol::Https | Protocol::TlsPassthrough | Protocol::Tcp => None,
    }
}

fn request(rule: &RuleEntry, request: &Request) -> Stops {
    match rule.protocol {
        Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => {
            [Some(Reason::Protocol), None, None]
        }
        Protocol::Https => {
            let method = rule.methods.contains(&request.method);
            let path = rule.paths.iter().any(|pattern| matches(pattern, &request.path));
            let upgrade = rule.upgrade || !request.upgrade;
            [
                (!method).then_some(Reason::Method),
                (!path).then_some(Reason::Path),
                (!upgrade).then_some(Reason::Upgrade),
            ]
        }
    }
}

/// Whether a path fits a pattern, segment by segment and case-sensitive. `*` is one segment that is not empty; `**`
/// one or more, of which the first is not empty, so that `/a/` is not in `/a/**` but `/a/b/` is.
pub(in crate::policy) fn matches(pattern: &PathPattern, path: &Path) -> bool {
    let mut segments = path.segments();
    let begins = pattern.segments.iter().all(|wanted| {
        segments.next().is_some_and(|segment| match wanted {
            SegmentPattern::Literal(text) => **text == *segment,
            SegmentPattern::Any => !segment.is_empty(),
        })
    });
    let next = segments.next();
    begins && if pattern.rest { next.is_some_and(|it| !it.is_empty()) } else { next.is_none() }
}
