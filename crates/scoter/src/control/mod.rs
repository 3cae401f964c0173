//! The control socket: how people and tools control the master.
//!
//! It speaks HTTP over a Unix socket, so that `curl --unix-socket` and every HTTP library can
//! do what `scoter status`, `stacks`, `reload`, `stop`, `scale` and `top` do. [`protocol`] is shared by
//! both ends, [`server`] runs in the master, [`client`] has the commands. The master answers
//! [`Order`]s and knows nothing of HTTP.

mod client;
mod human;
mod location;
mod metrics_address;
mod page;
mod protocol;
mod selector;
mod server;
mod uwsgi_stats;

pub(crate) use client::{ClientCommand, run};
pub(crate) use location::ControlLocation;
pub(crate) use metrics_address::MetricsAddress;
pub(crate) use protocol::{
    Call, Exposition, KeptConnections, ListenerStatus, Order, Percentiles, Phase, ReloadError,
    ReloadStatus, Reloaded, Responses, Scaled, SlotPhase, SlotStatus, Stacks, Status, ThreadStack,
    ThreadStacks, Totals, WorkerPhase, WorkerStacks, WorkerStatus,
};
pub(crate) use selector::ServerSelector;
pub(crate) use server::{
    ControlError, ControlListener, ReaderError, ReaderListener, Service, serve, serve_readers,
};
pub(crate) use uwsgi_stats::{Figures, Memory, Place, Transport, UwsgiStatsAddress, Work};
