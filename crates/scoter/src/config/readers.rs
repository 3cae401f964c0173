//! What can be read from this server besides its control socket.

use super::Options;
use crate::control::Service;
use crate::net::Address;

impl Options {
    /// What can be read, and where.
    pub(crate) fn readers(&self) -> impl Iterator<Item = (Service, &Address)> {
        let metrics = self.metrics.iter();
        let metrics = metrics.map(|metrics| (Service::Metrics, &metrics.0));
        let stats = self.uwsgi_stats.iter();
        let stats = stats.map(|stats| (Service::UwsgiStats(stats.transport), &stats.address));
        metrics.chain(stats)
    }
}
