use std::str::FromStr;

use uwsgi_codec::{EncodeError, PacketBuilder, PacketRef};

/// `--var`.
#[derive(Clone, Debug)]
pub(crate) struct VarOption {
    name: String,
    /// `None` leaves the variable out.
    value: Option<String>,
}

impl FromStr for VarOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("a variable has a name".to_owned());
        }
        let name = name.to_owned();
        Ok(Self { name, value })
    }
}

/// Returns the packet with the variables of a user in place of those of the same names.
pub(crate) fn apply(
    options: &[VarOption],
    packet: PacketRef<'_>,
) -> Result<PacketBuilder, EncodeError> {
    let mut changed = PacketBuilder::new();
    changed
        .modifier1(packet.header.modifier1)
        .modifier2(packet.header.modifier2);
    for (key, value) in packet.vars {
        if options.iter().all(|option| option.name.as_bytes() != key) {
            changed.var(key, value)?;
        }
    }
    for option in options {
        if let Some(value) = &option.value {
            changed.var(&option.name, value)?;
        }
    }
    Ok(changed)
}
