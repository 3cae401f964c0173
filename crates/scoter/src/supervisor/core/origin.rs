//! Who asked for something.

use crate::sys::signals::Signal;

/// Who asked for a stop, a reload, an upgrade or another number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Signal(Signal),
    /// `--reload-on-touch`.
    Touch,
    ReloadOrder,
    UpgradeOrder,
    StopOrder,
    ScaleOrder,
    /// A signal that arrived during another operation.
    DeferredSignal,
    /// An upgrade: the workers of the previous release are replaced.
    Upgrade,
    /// A launcher of another release than the master.
    NewRelease,
}

impl Origin {
    pub(crate) fn signal(self) -> Option<Signal> {
        match self {
            Self::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Signal(signal) => signal.name(),
            Self::Touch => "--reload-on-touch",
            Self::ReloadOrder => "scoter reload",
            Self::UpgradeOrder => "scoter reload --upgrade",
            Self::StopOrder => "scoter stop",
            Self::ScaleOrder => "scoter scale",
            Self::DeferredSignal => "a deferred signal",
            Self::Upgrade => "the upgrade",
            Self::NewRelease => "a new release",
        }
    }
}
