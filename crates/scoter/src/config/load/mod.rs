//! From sources to settings, and from settings to values.

mod gather;
mod layer;

pub(super) mod control_path;
pub(super) mod json;
pub(super) mod no_master;
pub(super) mod read;
pub(super) mod settings;
