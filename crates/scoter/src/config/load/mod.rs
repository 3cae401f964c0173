//! From sources to settings, and from settings to values.

mod gather;
mod layer;
mod options;

pub(super) mod control_path;
pub(super) mod json;
pub(super) mod no_master;
