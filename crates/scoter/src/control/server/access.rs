//! What a client may do.

use tokio::sync::mpsc;

use crate::control::Order;
use crate::control::protocol::Scope;

/// What a connection is for.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// Requests of this scope, which go to the master.
    Granted(Scope, mpsc::Sender<Order>),
    /// Nothing: the user may not give orders.
    Denied,
}
