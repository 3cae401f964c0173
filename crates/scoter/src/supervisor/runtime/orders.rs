//! Orders from the control socket, and their answers.

use tokio::sync::oneshot;

use super::Runtime;
use crate::control::{Order as Ordered, ReloadError, Reloaded, Scaled};
use crate::supervisor::core::{Answer, Event, Order, OrderId};

/// Where the result of an order goes. The client may have disconnected.
#[derive(Debug)]
pub(super) enum Reply {
    Reload(oneshot::Sender<Result<Reloaded, ReloadError>>),
    Stop(oneshot::Sender<()>),
    Scale(oneshot::Sender<Result<Scaled, String>>),
}

impl Runtime {
    pub(super) fn on_order(&mut self, order: Ordered) {
        let (order, reply) = match order {
            Ordered::Status(reply) => return drop(reply.send(self.status())),
            Ordered::Metrics { exposition, reply } => {
                return drop(reply.send(self.metrics(exposition)));
            }
            Ordered::UwsgiStats(reply) => return drop(reply.send(self.uwsgi_stats())),
            Ordered::Stacks { worker, reply } => return self.report_stacks(worker, reply),
            Ordered::Reload { upgrade, reply } => {
                let order = if upgrade {
                    Order::Upgrade
                } else {
                    Order::Reload
                };
                (order, Reply::Reload(reply))
            }
            Ordered::Stop(reply) => (Order::Stop, Reply::Stop(reply)),
            Ordered::Scale { workers, reply } => (Order::Scale(workers), Reply::Scale(reply)),
        };
        let id = OrderId(self.next_order);
        self.next_order += 1;
        self.orders.insert(id, reply);
        self.handle(Event::Order(id, order));
    }

    pub(super) fn answer(&mut self, order: OrderId, answer: Answer) {
        match (self.orders.remove(&order), answer) {
            (Some(Reply::Reload(reply)), Answer::Reload(outcome)) => drop(reply.send(outcome)),
            (Some(Reply::Stop(reply)), Answer::Stopping) => drop(reply.send(())),
            (Some(Reply::Scale(reply)), Answer::Scale(scaled)) => drop(reply.send(scaled)),
            _ => {}
        }
    }
}
