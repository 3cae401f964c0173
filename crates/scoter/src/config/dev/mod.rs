//! `scoter dev`: arguments of its own, and other values for the options than those of production.

mod application;
mod arguments;
mod http_address;
mod private_folder;
mod settings;

pub(crate) use arguments::DevArguments;
pub(crate) use http_address::HttpAddress;
pub(crate) use private_folder::{SOCKET, private_folder};

pub(in crate::config) use arguments::{DEV, arguments, with_tip};
pub(in crate::config) use settings::{is_offered, layers};
