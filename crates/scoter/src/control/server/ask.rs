//! Orders to the master, and their results.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::control::Order;

/// The result of an order that the master carries out at once; `None` if it takes too long.
pub(super) async fn within_timeout<T>(asked: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(ANSWER_TIMEOUT, asked).await.ok().flatten()
}

/// Gives an order and waits for its result; `None` if the master is ending.
pub(super) async fn ask<T>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    orders.send(order(reply)).await.ok()?;
    answer.await.ok()
}

/// How long the master may take for an order that it answers immediately.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
