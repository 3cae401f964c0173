//! The metrics for Prometheus and other collectors: what the server is asked for, as text.
//!
//! [`Scrape`] is what there is to tell at one moment, [`families`] says under which names, and
//! [`text`] writes it. None of it has state: sums are kept in the workers' scoreboards and by the
//! master.

mod families;
mod figure;
mod scrape;
mod text;

pub(crate) use scrape::{Reloads, Scrape, Usage};
pub(crate) use text::text;
