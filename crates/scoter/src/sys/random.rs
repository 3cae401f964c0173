//! Random numbers, so that processes do not all act at the same moment.

use rustix::rand::{GetRandomFlags, getrandom};

/// A random number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    // A system without randomness gives 0.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}
