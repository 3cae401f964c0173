//! Histories with names: what a user would notice, without the processes.

pub(super) mod losses;
pub(super) mod recycling;
pub(super) mod reloading;
pub(super) mod scaling;
pub(super) mod starting;
pub(super) mod stopping;
pub(super) mod upgrading;

use std::time::Duration;

use super::world::World;
use crate::control::ReloadError;
use crate::supervisor::core::{Answer, Notice};

const SECOND: Duration = Duration::from_secs(1);

fn is_reloaded(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Ok(_))])
}

fn is_busy(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Err(ReloadError::Busy(_)))])
}

fn is_broken(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Err(ReloadError::Broken(_)))])
}

fn count(world: &World, is_it: impl Fn(&Notice) -> bool) -> usize {
    world.notices.iter().filter(|notice| is_it(notice)).count()
}
