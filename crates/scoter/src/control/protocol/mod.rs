//! The protocol of the control socket: paths, orders, and the JSON of the answers.

mod orders;
mod routes;
mod status;

pub(crate) use orders::{Order, ReloadError, Reloaded, Scaled};
pub(super) use routes::Route;
#[cfg(test)]
pub(super) use status::SlotPhase;
pub(crate) use status::{
    KeptConnections, ListenerStatus, Percentiles, Phase, ReloadStatus, Responses, SlotStatus,
    Status, Totals, WorkerPhase, WorkerStatus, millis,
};
