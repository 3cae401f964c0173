//! Creates files with their final owner and mode, so that nothing has to be changed afterwards
//! by a path that another user may have replaced.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Lets this thread create files as another user and group until it is dropped.
///
/// The thread keeps one of root's capabilities, CAP_DAC_OVERRIDE, because the directory may be
/// writable by root only. Meanwhile it can read and write any file.
#[derive(Debug)]
pub(super) struct Creator {
    before: (Uid, Gid),
    capabilities: Option<CapabilitySets>,
}

impl Creator {
    /// Switches to `uid` and `gid`, as far as the system allows.
    pub(super) fn assume(uid: Option<Uid>, gid: Option<Gid>) -> Self {
        let creator = Self {
            before: (Self::uid(), Self::gid()),
            capabilities: capabilities(None).ok(),
        };
        if let Some(gid) = gid {
            setfsgid(gid);
        }
        if let Some(uid) = uid {
            setfsuid(uid);
        }
        // capabilities(7): setfsuid(2) from root to another user drops all file capabilities.
        if let Some(mut sets) = creator.capabilities.filter(|_| !Self::uid().is_root()) {
            let kept = !FILE_CAPABILITIES | CapabilitySet::DAC_OVERRIDE;
            sets.effective &= kept;
            let _ = set_capabilities(None, sets);
        }
        creator
    }

    /// The user who owns the files that this thread creates.
    pub(super) fn uid() -> Uid {
        // setfsuid(2): an invalid user ID changes nothing.
        setfsuid(Uid::from_raw(u32::MAX))
    }

    fn gid() -> Gid {
        setfsgid(Gid::from_raw(u32::MAX))
    }
}

impl Drop for Creator {
    fn drop(&mut self) {
        setfsuid(self.before.0);
        setfsgid(self.before.1);
        if let Some(sets) = self.capabilities {
            let _ = set_capabilities(None, sets);
        }
    }
}

/// Sets the mode of new files until it is dropped.
///
/// The umask belongs to the whole process: use this only at the start, when no other thread creates
/// files.
#[derive(Debug)]
pub(super) struct ModeOfFiles {
    before: Mode,
    _turn: MutexGuard<'static, ()>,
}

impl ModeOfFiles {
    pub(super) fn set(mode: u32) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            before: umask(Mode::from_raw_mode(!mode & 0o777)),
            _turn: turn,
        }
    }
}

impl Drop for ModeOfFiles {
    fn drop(&mut self) {
        umask(self.before);
    }
}

/// Two at a time would each restore the other one's umask.
static TURN: Mutex<()> = Mutex::new(());

/// The capabilities that capabilities(7) lists for setfsuid(2).
const FILE_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::LINUX_IMMUTABLE)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::MKNOD);
