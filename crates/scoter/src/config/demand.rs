//! What options need of the open file limit.

use super::{Options, Workers};
use crate::sys::file_limit::Demand;
use crate::sys::scheduling::cpus;

impl Options {
    /// What a server with these options needs that listens on this many sockets.
    pub(crate) fn demand(&self, sockets: usize) -> Demand {
        Demand {
            threads: self.threads,
            max_pending: self.max_pending,
            keep_alive: self.keep_alive,
            sockets,
            queues: self.queue_timeout.map_or(0, |_| sockets),
            workers: (!self.no_master).then(|| self.workers.most()),
        }
    }
}

impl Workers {
    /// The most that there may be, but for `scoter scale`.
    fn most(self) -> u32 {
        match self {
            Self::Auto => cpus(),
            Self::Fixed(number) | Self::Range { max: number, .. } => number.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_workers_are_those_of_the_range() {
        assert_eq!(Workers::Fixed(3).most(), 3);
        assert_eq!(Workers::Range { min: 2, max: 8 }.most(), 8);
        assert!(Workers::Auto.most() >= 1);
    }
}
