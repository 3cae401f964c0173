//! What uWSGI's statistics are made of.

use std::collections::BTreeMap;
use std::env;

use rustix::process::{getgid, getuid};

use super::Runtime;
use crate::control::{Figures, Place};
use crate::supervisor::measure;

impl Runtime {
    /// The statistics now, as JSON.
    pub(super) fn uwsgi_stats(&self) -> String {
        let status = self.status();
        let most = status
            .workers_range
            .map_or(status.workers_wanted, |[_, max]| max);
        let mut places: BTreeMap<u32, Place> =
            (1..=most).map(|id| (id, Place::default())).collect();
        for (id, number) in self.numbers.iter() {
            let place = places.entry(id).or_default();
            place.spawned = number.spawned;
            place.last_spawn = number.last_spawn;
            place.work = number.gone;
        }
        for worker in self.workers.values() {
            let place = places.entry(worker.id).or_default();
            place.present = worker.work();
            place.work += place.present;
            place.average = worker.meter.average(&place.present);
        }
        for (serial, pid) in self.core.processes() {
            let worker = self.workers.get(&serial);
            if let Some(place) = worker.and_then(|worker| places.get_mut(&worker.id)) {
                place.memory = measure::memory(pid);
            }
        }
        let serving = self.generations.get(&status.generation);
        let directory = serving.and_then(|serving| serving.directory.as_ref());
        let directory = directory.map(|directory| directory.path().to_owned());
        let directory = directory
            .or_else(|| env::current_dir().ok())
            .unwrap_or_default();
        let figures = Figures {
            status,
            uid: getuid().as_raw(),
            gid: getgid().as_raw(),
            cwd: directory.to_string_lossy().into_owned(),
            places,
        };
        figures.to_json()
    }
}
