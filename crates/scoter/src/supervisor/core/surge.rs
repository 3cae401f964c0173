//! How many processes there may be while one generation replaces another.

use super::Supervisor;
use super::worker::Worker;

impl Supervisor {
    /// Whether a worker of this generation has to wait until one of another has ended.
    pub(super) fn is_surge_over(&self, generation: u32) -> bool {
        // The first worker of new code, which shows whether it works, does not wait.
        let is_proven = self.generation(generation).is_some_and(|it| it.is_proven);
        let is_other = |worker: &Worker| worker.generation != generation;
        let is_surging = is_proven && self.workers.iter().any(is_other);
        is_surging && self.workers.len() >= self.max_processes() && self.is_complete()
    }

    /// Whether as many workers of proven code as wanted serve or are starting.
    fn is_complete(&self) -> bool {
        let counts = |worker: &&Worker| {
            let generation = self.generation(worker.generation);
            worker.counts() && generation.is_some_and(|it| it.is_proven)
        };
        self.workers.iter().filter(counts).count() >= self.worker_count.wanted() as usize
    }

    /// While one generation replaces another there may be more processes than usual, but not twice
    /// as many, because memory is limited.
    fn max_processes(&self) -> usize {
        let wanted = self.worker_count.wanted() as usize;
        wanted + wanted.div_ceil(2)
    }
}
