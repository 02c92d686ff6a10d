//! The loopback network of one lab: a /16 out of 127.0.0.0/8 and one port, claimed so that two labs on one machine
//! never meet, not even at an address where nobody listens for a while.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The second octet and the port that the lab's law is written for.
const WRITTEN: (u8, u16) = (20, 8443);

/// Ports that are tried when a program of this machine has one of them on all addresses.
const PORTS: [u16; 4] = [WRITTEN.1, 18_443, 28_443, 38_443];

/// A claimed network; given back when it is dropped.
#[derive(Debug)]
pub struct Ground {
    octet: u8,
    port: u16,
    _claim: TcpListener,
}

impl Ground {
    /// Claims the first network that is free, the written one before all others.
    ///
    /// # Errors
    /// Where all are taken, or this machine has no loopback network.
    pub fn claim() -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for port in PORTS {
            for octet in WRITTEN.0..=254 {
                match TcpListener::bind((Ipv4Addr::new(127, octet, 255, 254), port)) {
                    Ok(claim) => return Ok(Self { octet, port, _claim: claim }),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// Whether it is the one that the law is written for: what only one lab of a machine can have is its.
    pub const fn is_first(&self) -> bool {
        self.octet == WRITTEN.0 && self.port == WRITTEN.1
    }

    /// The address with these last two octets.
    pub const fn address(&self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, third, fourth)
    }

    /// The socket address with these last two octets.
    pub fn socket(&self, third: u8, fourth: u8) -> SocketAddr {
        (self.address(third, fourth), self.port).into()
    }

    /// A text that is written for the first network, as it must read for this one.
    pub fn rewrite(&self, text: &str) -> String {
        let network = |octet| format!("127.{octet}.");
        let text = text.replace(&network(WRITTEN.0), &network(self.octet));
        text.replace(&format!(":{}", WRITTEN.1), &format!(":{}", self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::Ground;

    #[test]
    fn two_claims_never_share_an_address() {
        let (one, two) = (Ground::claim().unwrap(), Ground::claim().unwrap());
        assert_ne!(one.socket(0, 1), two.socket(0, 1));
        let text = r#"{ address: "127.20.101.10:8443", from: 127.20.13.5 }"#;
        let expected =
            format!(r#"{{ address: "{}", from: {} }}"#, one.socket(101, 10), one.address(13, 5));
        assert_eq!(one.rewrite(text), expected);
    }
}
