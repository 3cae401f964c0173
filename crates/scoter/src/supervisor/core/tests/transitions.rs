//! Every transition of the server as a whole, of a generation and of a worker, and a history with
//! a name that goes through it.

use super::histories::{losses, recycling, reloading, starting, stopping, upgrading};
use super::world::{Transition, seen};

#[test]
fn each_transition_has_a_history_with_a_name() {
    for (transition, history) in TRANSITIONS {
        drop(seen());
        history();
        assert!(seen().contains(transition), "not seen: {transition:?}");
    }
}

/// All transitions, with the states before and after. `none` is before the start and after the end.
pub(super) const TRANSITIONS: &[(Transition, fn())] = &[
    (
        ("server", "draining", "finishing"),
        stopping::drain_delay_serves_on_and_ends_a_reload,
    ),
    (
        ("server", "draining", "leaving"),
        stopping::drain_delay_replaces_whoever_dies_and_is_cut_by_a_second_signal,
    ),
    (
        ("server", "finishing", "leaving"),
        stopping::stop_waits_for_requests_and_cuts_those_that_take_too_long,
    ),
    (
        ("server", "finishing", "over"),
        stopping::stop_of_a_server_that_has_lost_everybody_ends_at_once,
    ),
    (
        ("server", "killed", "over"),
        stopping::stop_ends_by_its_deadline_although_nobody_responds,
    ),
    (
        ("server", "leaving", "killed"),
        stopping::stop_ends_by_its_deadline_although_nobody_responds,
    ),
    (
        ("server", "leaving", "over"),
        stopping::drain_delay_replaces_whoever_dies_and_is_cut_by_a_second_signal,
    ),
    (
        ("server", "none", "starting"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("server", "reading for a reload", "draining"),
        stopping::drain_delay_comes_before_a_stop_in_any_state,
    ),
    (
        ("server", "reading for a reload", "finishing"),
        upgrading::stop_of_the_next_release_ends_everything_and_a_stop_before_it_prevents_it,
    ),
    (
        ("server", "reading for a reload", "reading for an upgrade"),
        reloading::signal_during_what_is_refused_is_followed,
    ),
    (
        ("server", "reading for a reload", "rolling out"),
        reloading::worker_of_the_old_code_is_replaced_while_new_code_takes_its_time,
    ),
    (
        ("server", "reading for a reload", "serving"),
        reloading::signal_during_what_is_refused_is_followed,
    ),
    (
        ("server", "reading for an upgrade", "draining"),
        stopping::drain_delay_comes_before_a_stop_in_any_state,
    ),
    (
        ("server", "reading for an upgrade", "finishing"),
        stopping::stop_during_anything_ends_everything_and_answers_everybody,
    ),
    (
        ("server", "reading for an upgrade", "reading for a reload"),
        reloading::signal_during_what_is_refused_is_followed,
    ),
    (
        ("server", "reading for an upgrade", "serving"),
        reloading::signal_during_what_is_refused_is_followed,
    ),
    (
        ("server", "reading for an upgrade", "upgrading"),
        upgrading::upgrade_is_refused_where_the_installed_release_says_no,
    ),
    (
        ("server", "rolling out", "draining"),
        stopping::drain_delay_serves_on_and_ends_a_reload,
    ),
    (
        ("server", "rolling out", "finishing"),
        stopping::launcher_that_dies_during_a_stop_is_not_replaced,
    ),
    (
        ("server", "rolling out", "reading for a reload"),
        reloading::orders_during_a_reload_are_told_so_and_signals_follow_it,
    ),
    (
        ("server", "rolling out", "reading for an upgrade"),
        upgrading::launcher_of_another_release_is_the_sign_of_an_upgrade,
    ),
    (
        ("server", "rolling out", "serving"),
        reloading::reload_of_code_that_is_no_good_changes_nothing,
    ),
    (
        ("server", "serving", "draining"),
        stopping::drain_delay_replaces_whoever_dies_and_is_cut_by_a_second_signal,
    ),
    (
        ("server", "serving", "finishing"),
        stopping::stop_of_a_server_that_has_lost_everybody_ends_at_once,
    ),
    (
        ("server", "serving", "reading for a reload"),
        reloading::worker_of_the_old_code_is_replaced_while_new_code_takes_its_time,
    ),
    (
        ("server", "serving", "reading for an upgrade"),
        upgrading::upgrade_is_refused_where_the_installed_release_says_no,
    ),
    (
        ("server", "starting", "draining"),
        stopping::drain_delay_comes_before_a_stop_in_any_state,
    ),
    (
        ("server", "starting", "finishing"),
        stopping::stop_during_the_start_ends_whoever_is_there,
    ),
    (
        ("server", "starting", "over"),
        starting::start_fails_with_the_code_of_what_failed,
    ),
    (
        ("server", "starting", "reading for a reload"),
        starting::signal_during_the_start_is_followed_after_it,
    ),
    (
        ("server", "starting", "reading for an upgrade"),
        starting::signal_during_the_start_is_followed_after_it,
    ),
    (
        ("server", "starting", "serving"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("server", "upgrading", "draining"),
        stopping::drain_delay_comes_before_a_stop_in_any_state,
    ),
    (
        ("server", "upgrading", "finishing"),
        upgrading::stop_of_the_next_release_ends_everything_and_a_stop_before_it_prevents_it,
    ),
    (
        ("server", "upgrading", "reading for a reload"),
        upgrading::next_release_serves_on_with_the_old_workers_if_new_code_is_no_good,
    ),
    (
        ("server", "upgrading", "reading for an upgrade"),
        upgrading::signals_during_an_upgrade_are_followed_whatever_becomes_of_it,
    ),
    (
        ("server", "upgrading", "serving"),
        upgrading::upgrade_is_refused_where_the_installed_release_says_no,
    ),
    (
        ("generation", "new, loading", "new, prepared"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("generation", "new, loading", "new, without launcher"),
        stopping::launcher_that_dies_during_a_stop_is_not_replaced,
    ),
    (
        ("generation", "new, loading", "none"),
        reloading::reload_whose_launcher_dies_before_anybody_is_ready_is_refused,
    ),
    (
        ("generation", "new, prepared", "new, without launcher"),
        stopping::launcher_that_dies_during_a_stop_is_not_replaced,
    ),
    (
        ("generation", "new, prepared", "none"),
        reloading::reload_of_code_that_is_no_good_changes_nothing,
    ),
    (
        ("generation", "new, prepared", "proven, prepared"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("generation", "new, without launcher", "none"),
        stopping::launcher_that_dies_during_a_stop_is_not_replaced,
    ),
    (
        ("generation", "none", "new, loading"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("generation", "proven, loading", "none"),
        reloading::reload_is_not_kept_by_the_old_launcher_that_loads_again,
    ),
    (
        ("generation", "proven, loading", "proven, prepared"),
        losses::launcher_that_dies_is_replaced_and_its_workers_serve_on,
    ),
    (
        ("generation", "proven, loading", "proven, without launcher"),
        losses::launcher_that_is_lost_while_it_loads_is_replaced,
    ),
    (
        ("generation", "proven, prepared", "none"),
        stopping::drain_delay_replaces_whoever_dies_and_is_cut_by_a_second_signal,
    ),
    (
        ("generation", "proven, prepared", "proven, loading"),
        losses::launcher_that_dies_is_replaced_and_its_workers_serve_on,
    ),
    (
        ("generation", "proven, prepared", "proven, without launcher"),
        stopping::stop_ends_by_its_deadline_although_nobody_responds,
    ),
    (
        ("generation", "proven, without launcher", "none"),
        stopping::stop_of_a_server_that_has_lost_everybody_ends_at_once,
    ),
    (
        ("generation", "proven, without launcher", "proven, loading"),
        losses::launcher_that_is_lost_while_it_loads_is_replaced,
    ),
    (
        ("worker", "none", "starting"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("worker", "ready", "none"),
        losses::worker_that_dies_is_replaced_at_once_and_a_loop_is_slowed_down,
    ),
    (
        ("worker", "ready", "retiring"),
        recycling::requests_of_a_worker_that_is_replaced_are_finished,
    ),
    (
        ("worker", "ready", "stuck"),
        losses::worker_that_does_not_respond_is_killed_and_replaced,
    ),
    (
        ("worker", "retiring", "none"),
        recycling::requests_of_a_worker_that_is_replaced_are_finished,
    ),
    (
        ("worker", "retiring", "stuck"),
        recycling::worker_that_retires_may_get_stuck,
    ),
    (
        ("worker", "starting", "none"),
        losses::worker_that_dies_is_replaced_at_once_and_a_loop_is_slowed_down,
    ),
    (
        ("worker", "starting", "ready"),
        losses::watchdog_hears_nothing_while_nobody_gets_on,
    ),
    (
        ("worker", "starting", "retiring"),
        stopping::stop_during_the_start_ends_whoever_is_there,
    ),
    (
        ("worker", "stuck", "none"),
        losses::worker_that_does_not_respond_is_killed_and_replaced,
    ),
];
