//! Where a server is, seen from here: it decides whether our view of the machine is also PostgreSQL's.

use std::net::IpAddr;

use tokio_postgres::config::Host;

use super::target::Target;

/// How near a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A unix socket or a loopback address.
    Here,
    /// An address of a private network: a container beside us, or another machine in the house.
    Private(IpAddr),
    Public(IpAddr),
    /// The name could not be resolved.
    Unknown(String),
}

impl Target {
    /// Resolves the first host of the connection string.
    pub async fn place(&self) -> Place {
        let name = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name,
            Some(Host::Unix(_)) | None => return Place::Here,
        };
        let looked = tokio::time::timeout(self.connect_timeout, tokio::net::lookup_host((name.as_str(), 0)));
        match looked.await {
            Ok(Ok(mut found)) => found
                .next()
                .map_or_else(|| Place::Unknown(format!("{name} has no address")), |address| of(address.ip())),
            Ok(Err(error)) => Place::Unknown(format!("resolving {name}: {error}")),
            Err(_) => {
                Place::Unknown(format!("resolving {name}: no answer within {:?}", self.connect_timeout))
            }
        }
    }
}

fn of(address: IpAddr) -> Place {
    let address = address.to_canonical();
    let private = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    match (address.is_loopback(), private) {
        (true, _) => Place::Here,
        (false, true) => Place::Private(address),
        (false, false) => Place::Public(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_here_in_the_house_or_outside() {
        let rows = [
            ("127.0.0.1", Place::Here),
            ("::1", Place::Here),
            ("::ffff:127.0.0.1", Place::Here),
            ("172.18.0.2", Place::Private([172, 18, 0, 2].into())),
            ("192.168.1.20", Place::Private([192, 168, 1, 20].into())),
            ("fd00::2", Place::Private("fd00::2".parse().unwrap())),
            ("8.8.8.8", Place::Public([8, 8, 8, 8].into())),
        ];
        for (address, want) in rows {
            assert_eq!(of(address.parse().unwrap()), want, "{address}");
        }
    }
}
