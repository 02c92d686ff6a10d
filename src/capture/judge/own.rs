//! Where the appliance stands in a capture: its own addresses, and on which of its legs a connection is. No opinion.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::appliance::{Appliance, Mode};
use crate::capture::Connection;
use crate::flow::Name;
use crate::policy::address::{canonical, canonical_socket};

/// On which side of the appliance a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// To the appliance: what its listeners take, on the union's side or the centre's.
    Inbound,
    /// From the appliance: what it dials.
    Outbound,
    /// Without the appliance: it went by.
    Beside,
}

impl Leg {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Beside => "beside",
        }
    }
}

/// The appliance's own addresses, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Own {
    addresses: BTreeSet<IpAddr>,
    /// What listens where; `None` where no box file says it.
    listeners: Option<HashMap<SocketAddr, Listening>>,
    admin: Option<(SocketAddr, Vec<IpNet>)>,
}

/// What stands at one socket address.
#[derive(Debug, Clone)]
struct Listening {
    name: Name,
    refuses: bool,
    clients: Option<Name>,
}

impl Own {
    /// As the box file says it: listeners, lines, the HTTP port.
    pub fn of_box(appliance: &Appliance) -> Self {
        let listeners: HashMap<_, _> = appliance
            .listeners
            .iter()
            .flat_map(|(name, it)| it.bind.iter().map(move |bind| (name, &it.mode, *bind)))
            .map(|(name, mode, bind)| (canonical_socket(bind), Listening::new(name, mode)))
            .collect();
        let lines = appliance.lines.values().map(|line| canonical(line.source));
        let binds = appliance.listeners.values().flat_map(|listener| &listener.bind);
        let addresses = binds.map(|bind| canonical(bind.ip())).chain(lines).collect();
        let admin = (canonical_socket(appliance.admin.bind), appliance.admin.allow.clone());
        Self { addresses, listeners: Some(listeners), admin: Some(admin) }
    }

    /// As somebody says it who has no box file: its listeners are not known.
    pub fn of_addresses(addresses: &[IpAddr]) -> Self {
        let addresses = addresses.iter().copied().map(canonical).collect();
        Self { addresses, listeners: None, admin: None }
    }

    /// Whether no address of the appliance is known, so that everything seems to go by it.
    pub fn is_unknown(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The leg that a connection is on. One from the appliance to itself is inbound.
    pub fn leg(&self, connection: &Connection) -> Leg {
        let owns = |end: SocketAddr| self.addresses.contains(&canonical(end.ip()));
        if self.is_admin(connection.responder) || owns(connection.responder) {
            Leg::Inbound
        } else if owns(connection.initiator) {
            Leg::Outbound
        } else {
            Leg::Beside
        }
    }

    /// Whether it is the administration of the box by somebody whom the box file lets.
    pub(super) fn is_administration(&self, source: IpAddr, to: SocketAddr) -> bool {
        let allow = self.admin.iter().filter(|_| self.is_admin(to)).flat_map(|(_, allow)| allow);
        let source = canonical(source);
        allow.into_iter().any(|net| net.contains(&source))
    }

    /// Whether a listener that forwards, or may do so for all that is known, stands there.
    pub(super) fn may_forward(&self, to: SocketAddr) -> bool {
        self.listening(to).is_some_and(|it| !it.refuses) || self.listeners.is_none()
    }

    /// The names of the listeners that take nothing.
    pub(super) fn refusing(&self) -> BTreeSet<Name> {
        let all = self.listeners.iter().flat_map(HashMap::values);
        all.filter(|listening| listening.refuses).map(|listening| listening.name.clone()).collect()
    }

    /// Whether a listener or the HTTP port of the box stands there.
    pub(super) fn listens(&self, at: SocketAddr) -> bool {
        self.listening(at).is_some() || self.is_admin(at)
    }

    /// The listener at `to`: a name, or that none stands there, or (`None`) that it is not known.
    pub(super) fn listener(&self, to: SocketAddr, nowhere: &Name) -> Option<Name> {
        self.listeners.as_ref()?;
        Some(self.listening(to).map_or_else(|| nowhere.clone(), |it| it.name.clone()))
    }

    /// The trust that the clients of the listener at `to` have to chain to.
    pub(super) fn clients(&self, to: SocketAddr) -> Option<&Name> {
        self.listening(to)?.clients.as_ref()
    }

    /// A name that no listener has: what stands where nothing listens.
    pub(super) fn nowhere(&self) -> Option<Name> {
        let taken: BTreeSet<&Name> =
            self.listeners.iter().flat_map(HashMap::values).map(|it| &it.name).collect();
        let mut names =
            (0_u32..).filter_map(|number| Name::parse(&format!("no-listener-{number}")).ok());
        names.find(|name| !taken.contains(name))
    }

    fn is_admin(&self, to: SocketAddr) -> bool {
        self.admin.as_ref().is_some_and(|(bind, _)| *bind == canonical_socket(to))
    }

    fn listening(&self, to: SocketAddr) -> Option<&Listening> {
        self.listeners.as_ref()?.get(&canonical_socket(to))
    }
}

impl Listening {
    fn new(name: &Name, mode: &Mode) -> Self {
        let refuses = matches!(mode, Mode::Refuse);
        Self { name: name.clone(), refuses, clients: mode.clients().cloned() }
    }
}
