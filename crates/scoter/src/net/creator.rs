//! Creates files with their final owner and mode, so that nothing has to be changed afterwards
//! by a path that another user may have replaced.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Lets this thread create files as another user and group, until it is dropped.
///
/// Files that it creates are that user's. It keeps one right of root's, CAP_DAC_OVERRIDE, as the
/// folder may be one that only root can write: meanwhile it can read and write any file.
#[derive(Debug)]
pub(super) struct Creator {
    before: (Uid, Gid),
    capabilities: Option<CapabilitySets>,
}

impl Creator {
    /// Becomes `uid` and `gid`, as far as the system lets this process.
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
        // capabilities(7): who is not root in the file system any more has lost all of them
        // that are about files.
        if let Some(mut sets) = creator.capabilities.filter(|_| !Self::uid().is_root()) {
            let kept = !FILE_CAPABILITIES | CapabilitySet::DAC_OVERRIDE;
            sets.effective &= kept;
            let _ = set_capabilities(None, sets);
        }
        creator
    }

    /// The user that files of this thread belong to.
    pub(super) fn uid() -> Uid {
        // setfsuid(2): a number that is no user changes nothing.
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

/// Gives new files a mode, until it is dropped.
///
/// The umask is the whole process's: this is for the start, when no other thread creates files.
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

/// Two at a time would each put back what the other has set.
static TURN: Mutex<()> = Mutex::new(());

/// What capabilities(7) lists for setfsuid(2).
const FILE_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::LINUX_IMMUTABLE)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::MKNOD);
