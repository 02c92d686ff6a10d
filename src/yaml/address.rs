//! One text → one address, socket address or range, each with one way to be written: no leading zeros, no IPv4 inside
//! IPv6, no host bits, no port 0.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::value::{Scalar, Written, Wrong, digits};

impl Scalar for IpAddr {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("an address")?;
        let address =
            text.parse().ok().ok_or_else(|| Wrong::address(text, "not an IPv4 or IPv6 address"))?;
        plain_address(address).ok_or_else(|| mapped(text, address))
    }
}

impl Scalar for SocketAddr {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("an address with a port, such as `10.0.0.1:443`")?;
        let socket: Self = text.parse().ok().ok_or_else(|| {
            Wrong::address(
                text,
                "not an address with a port, such as `10.0.0.1:443` or `[2001:db8::1]:443`",
            )
        })?;
        let port = text.rsplit(':').next().unwrap_or_default();
        if socket.port() == 0 || digits(port).is_none() {
            return Err(Wrong::address(
                text,
                "a port is a number from 1 to 65535, without leading zeros",
            ));
        }
        plain_address(socket.ip()).ok_or_else(|| mapped(text, socket.ip()))?;
        Ok(socket)
    }
}

impl Scalar for IpNet {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("an address range such as `10.0.0.0/24`")?;
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let wrong = || {
            Wrong::address(text, "not an address range such as `10.0.0.0/24` or `2001:db8::/64`")
        };
        let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
        plain_address(address).ok_or_else(|| mapped(text, address))?;
        let Some(prefix) = prefix else { return Ok(Self::from(address)) };
        let length = digits(prefix).and_then(|prefix| prefix.parse().ok()).ok_or_else(wrong)?;
        let net = Self::new(address, length).ok().ok_or_else(wrong)?;
        if net.addr() == net.network() {
            return Ok(net);
        }
        Err(Wrong::address(text, "the address has bits beyond its prefix")
            .remedy(format!("did you mean `{}`?", net.trunc())))
    }
}

/// The address, unless it is an IPv4 one in IPv6 clothes: the law has one name for one address.
fn plain_address(address: IpAddr) -> Option<IpAddr> {
    (address.to_canonical() == address).then_some(address)
}

fn mapped(text: &str, address: IpAddr) -> Wrong {
    Wrong::address(text, "an IPv4 address inside an IPv6 one")
        .remedy(format!("write `{}`", address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::net::{IpAddr, SocketAddr};

    use ipnet::IpNet;

    use crate::yaml::{Scalar, Written};

    fn plain<T: Scalar + Debug>(text: &str) -> Result<T, String> {
        T::parse(Written { text, plain: true })
            .map_err(|wrong| format!("{} {}", wrong.code, wrong.message))
    }

    #[test]
    fn addresses_have_one_way_to_be_written() {
        assert!(plain::<IpAddr>("10.200.0.2").is_ok());
        assert!(plain::<SocketAddr>("10.200.0.2:443").is_ok());
        assert!(plain::<SocketAddr>("[2001:db8::1]:443").is_ok());
        assert_eq!(plain::<IpNet>("10.13.10.7"), plain("10.13.10.7/32"));
        for text in
            ["010.0.0.1", "10.0.0", "１０.0.0.1", "10.0.0.256", "localhost", "::ffff:10.0.0.1"]
        {
            assert!(plain::<IpAddr>(text).unwrap_err().starts_with("bad_address"), "{text}");
            assert!(plain::<IpNet>(text).unwrap_err().starts_with("bad_address"), "{text}");
        }
        for text in [
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:0443",
            "10.0.0.1:65536",
            "a.example:443",
            "[::ffff:10.0.0.1]:443",
        ] {
            assert!(plain::<SocketAddr>(text).unwrap_err().starts_with("bad_address"), "{text}");
        }
        for text in
            ["10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/", "10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/104"]
        {
            assert!(plain::<IpNet>(text).unwrap_err().starts_with("bad_address"), "{text}");
        }
        let host_bits = IpNet::parse(Written { text: "10.13.10.5/26", plain: true }).unwrap_err();
        assert_eq!(host_bits.remedy.as_deref(), Some("did you mean `10.13.10.0/26`?"));
    }
}
