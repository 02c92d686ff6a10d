//! The layers of a packet, gathered while it is taken apart. No bytes are read here.

use std::fmt;
use std::hash::{Hash, Hasher};

/// One layer, with the number that tells one network from another where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::capture) enum Layer {
    Eth,
    Sll,
    Sll2,
    Null,
    Ppp,
    Radiotap,
    Wlan,
    Vlan(u16),
    Mpls,
    Pppoe,
    Pbb,
    Vntag,
    FabricPath,
    Ipv4,
    Ipv6,
    Udp,
    Gre,
    Erspan,
    Vxlan(u32),
    Geneve(u32),
    Gtp,
    Teredo,
    Ayiya,
    Etherip,
    Ah,
}

/// More layers than any network has; a deeper packet is made to be deep.
const DEPTH: usize = 24;

/// The layers of one packet, from the wire up.
#[derive(Clone, Copy)]
pub(in crate::capture) struct Stack {
    layers: [Layer; DEPTH],
    depth: u8,
    limit: u8,
}

impl Stack {
    pub(super) fn new(limit: usize) -> Self {
        let limit = u8::try_from(limit.min(DEPTH)).unwrap_or(0);
        Self { layers: [Layer::Eth; DEPTH], depth: 0, limit }
    }

    pub(super) fn clear(&mut self) {
        self.depth = 0;
    }

    /// Adds a layer; false where there is no room.
    #[inline]
    pub(super) fn push(&mut self, layer: Layer) -> bool {
        let room = self.layers.get_mut(usize::from(self.depth)).filter(|_| self.depth < self.limit);
        let Some(place) = room else { return false };
        *place = layer;
        self.depth += 1;
        true
    }

    /// The layers, from the wire up.
    pub(in crate::capture) fn layers(&self) -> &[Layer] {
        self.layers.get(..usize::from(self.depth)).unwrap_or_default()
    }
}

// What an earlier packet left beyond the depth does not count.
impl PartialEq for Stack {
    fn eq(&self, other: &Self) -> bool {
        self.layers() == other.layers()
    }
}

impl Eq for Stack {}

impl Hash for Stack {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.layers().hash(state);
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, layer) in self.layers().iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            layer.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Vlan(tag) => return write!(f, "vlan:{tag}"),
            Self::Vxlan(network) => return write!(f, "vxlan:{network}"),
            Self::Geneve(network) => return write!(f, "geneve:{network}"),
            Self::Eth => "eth",
            Self::Sll => "sll",
            Self::Sll2 => "sll2",
            Self::Null => "null",
            Self::Ppp => "ppp",
            Self::Radiotap => "radiotap",
            Self::Wlan => "wlan",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
            Self::Pbb => "pbb",
            Self::Vntag => "vntag",
            Self::FabricPath => "fabricpath",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Udp => "udp",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Gtp => "gtp",
            Self::Teredo => "teredo",
            Self::Ayiya => "ayiya",
            Self::Etherip => "etherip",
            Self::Ah => "ah",
        };
        f.write_str(name)
    }
}
