//! Who may connect over TCP.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tracing::warn;

/// The networks of `--allow`. This machine is always admitted.
///
/// The packet sets REMOTE_USER, REMOTE_ADDR and the scheme, so a client that can connect can
/// impersonate anyone. An address that other machines can reach therefore needs an explicit list.
#[derive(Debug, Clone)]
pub(crate) struct AllowList(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    networks: Vec<IpNet>,
    reported: Mutex<HashSet<IpAddr>>,
}

impl AllowList {
    /// Makes a list of networks.
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(Arc::new(Inner {
            networks,
            reported: Mutex::default(),
        }))
    }

    /// Whether only this machine is admitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.networks.is_empty()
    }

    /// Whether a peer may send requests.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback()
            || self
                .0
                .networks
                .iter()
                .any(|network| network.contains(&peer))
    }

    /// Warns about a refused peer the first time it connects.
    pub(super) fn report_once(&self, peer: Option<SocketAddr>) {
        let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else {
            return;
        };
        let mut reported = self
            .0
            .reported
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MAX_REPORTED && reported.insert(peer) {
            warn!(%peer, "refused a peer that no --allow network contains");
        }
    }
}

/// How many reported addresses are remembered; a scan from more of them is not worth the memory.
const MAX_REPORTED: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_listed_networks_are_admitted() {
        let list = AllowList::new(vec![
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]);
        for (peer, admitted) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.2.3.4", true),
            ("::ffff:10.2.3.4", true),
            ("fd12::1", true),
            ("11.0.0.1", false),
            ("::ffff:11.0.0.1", false),
        ] {
            assert_eq!(list.admits(peer.parse().unwrap()), admitted, "{peer}");
        }
    }
}
