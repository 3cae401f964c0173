//! The statistics that uWSGI's stats server has, for the tools that read them: `uwsgitop`, Datadog, Telegraf,
//! and the exporters for Prometheus.
//!
//! [`json`] is their form, and [`figures`] what they are made of, without I/O.

mod address;
mod figures;
mod json;

pub(crate) use address::{Transport, UwsgiStatsAddress};
pub(crate) use figures::{Figures, Memory, Place, Work};
