//! Loads settings from their sources, and values from settings.

mod gather;
mod layer;
mod no_effect;
mod options;

pub(super) mod json;
pub(super) mod no_master;
pub(super) mod server_selector;
