//! Binding: the sockets the box file asks for, or the very ones the service manager has bound already.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

use super::Error;
use crate::appliance::Appliance;
use crate::proxy::BoundListener;

/// Connections that wait for the acceptor; the kernel takes the smaller of this and `somaxconn`.
const BACKLOG: i32 = 4096;

/// Sockets that the service manager has bound.
#[derive(Debug, Default)]
pub struct Inherited(Vec<TcpListener>);

impl Inherited {
    /// Those of this process, by `LISTEN_FDS`; can be asked once.
    ///
    /// # Errors
    /// Where one of them is no listening TCP socket.
    pub fn from_environment() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|index| passed.take_tcp_listener(index));
        Ok(Self(sockets.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect()))
    }

    /// The one that is bound to `address`.
    fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bound = |socket: &TcpListener| socket.local_addr().is_ok_and(|at| at == address);
        self.0.iter().position(bound).map(|index| self.0.swap_remove(index))
    }

    /// Says which sockets nobody wanted: a unit that differs from the box file is a mistake of somebody.
    pub(super) fn warn_of_the_rest(self) {
        for socket in self.0 {
            let address = socket.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string());
            tracing::warn!(
                address,
                "a socket of the service manager is no listener of the box file"
            );
        }
    }
}

/// Binds every listener of the box.
///
/// # Errors
/// [`Error::Bind`] with the listener's name.
pub(super) fn all(
    appliance: &Appliance,
    passed: &mut Inherited,
) -> Result<Vec<BoundListener>, Error> {
    let addresses = appliance.listeners.iter().flat_map(|(name, listener)| {
        listener.bind.iter().map(move |address| (name.clone(), *address))
    });
    addresses
        .map(|(name, address)| {
            let socket = one(address, passed).map_err(Error::bind(&name, address))?;
            Ok(BoundListener { name, address, socket })
        })
        .collect()
}

/// Binds one address.
///
/// # Errors
/// What the operating system says.
pub(super) fn one(address: SocketAddr, passed: &mut Inherited) -> io::Result<TcpListener> {
    let socket = passed.take(address).map_or_else(|| bind(address), Ok)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// With `SO_REUSEADDR`, so that a restart need not wait for old connections to time out; without
/// `SO_REUSEPORT`, so that nobody else can take a share of ours.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::{Inherited, one};

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn an_address_can_be_bound_once_and_again_after_a_connection_to_it_ended() {
        let first = one(loopback(), &mut Inherited::default()).unwrap();
        let address = first.local_addr().unwrap();
        assert!(one(address, &mut Inherited::default()).is_err(), "no second process shares it");
        first.set_nonblocking(false).unwrap();
        let client = TcpStream::connect(address).unwrap();
        drop(first.accept().unwrap());
        drop((first, client));
        assert!(one(address, &mut Inherited::default()).is_ok());
    }

    #[test]
    fn a_passed_socket_is_used_for_its_own_address_only() {
        let passed = TcpListener::bind(loopback()).unwrap();
        let address = passed.local_addr().unwrap();
        let mut inherited = Inherited(vec![passed]);
        let other = one(loopback(), &mut inherited).unwrap();
        assert_ne!(other.local_addr().unwrap(), address);
        let taken = one(address, &mut inherited).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(inherited.0.is_empty());
    }
}
