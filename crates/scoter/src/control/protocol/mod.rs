//! The protocol of the control socket: paths, orders, and the JSON of the answers.

mod exposition;
mod orders;
mod routes;
mod stacks;
mod status;

pub(crate) use exposition::Exposition;
pub(crate) use orders::{Order, ReloadError, Reloaded, Scaled};
pub(super) use routes::{Route, Scope};
pub(crate) use stacks::{Call, Stacks, ThreadStack, ThreadStacks, WorkerStacks};
pub(crate) use status::{
    KeptConnections, ListenerStatus, Percentiles, Phase, ReloadStatus, Responses, SlotPhase,
    SlotStatus, Status, Totals, WorkerPhase, WorkerStatus,
};
