//! Requests to a uwsgi server.
//!
//! [`Client`] sends requests of the crate [`http`] to one server. [`Exchange`] is the
//! level below: one packet of any content on one connection. Both stream the bodies in
//! both directions, and neither needs a task of its own: dropping a future or a
//! [`ReplyBody`] closes the connection.

mod error;
mod exchange;
mod http_client;
mod pool;
mod reply_body;
mod sending;
mod stream;
mod timeouts;
mod timer;
mod wire;

pub use self::error::{ClientError, Wait};
pub use self::exchange::{Exchange, Reply};
pub use self::http_client::{Client, Reason};
pub use self::pool::KeptConnections;
pub use self::reply_body::ReplyBody;
pub use self::stream::Stream;
pub use self::timeouts::Timeouts;
