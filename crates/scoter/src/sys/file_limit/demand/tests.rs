use proptest::prelude::*;

use super::*;

fn demand(threads: u16, workers: Option<u32>) -> Demand {
    Demand {
        threads,
        max_pending: 1_024,
        keep_alive: 512,
        sockets: 1,
        queues: 0,
        workers,
    }
}

fn keeping(keep_alive: u32, max_pending: u32) -> Demand {
    Demand {
        max_pending,
        keep_alive,
        ..demand(4, None)
    }
}

#[test]
fn waiting_connections_fit_into_the_limit() {
    for (limit, threads, inherited, waiting, kept) in [
        (0, 1, 3, 1, 1),
        (64, 1, 3, 2, 2),
        (64, 32, 3, 1, 1),
        (256, 4, 3, 25, 25),
        (256, 4, 203, 1, 1),
        (1_024, 4, 3, 102, 102),
        (1_024, 4, 600, 42, 42),
        (2_048, 4, 3, 204, 204),
        (4_352 + 5 * 1_024, 4, 3, 1_983, 512),
        (2_048, 600, 3, 159, 159),
    ] {
        let places = demand(threads, None).places(limit, inherited);
        let expected = Places { waiting, kept };
        assert_eq!(places, expected, "{limit} {threads} {inherited}");
    }
    assert!(demand(4, None).places(u64::MAX, 3).waiting > 1_000_000);
}

#[test]
fn kept_connections_take_no_more_places_than_they_ask_for() {
    for (limit, keep_alive, max_pending, waiting, kept) in [
        (1_024, 0, 1_024, 127, 0),
        (1_024, 1, 1_024, 127, 1),
        (1_024, 40, 1_024, 117, 40),
        (1_024, 4_000, 1_024, 102, 102),
        // What the others do not want is left for them, but for newcomers.
        (1_024, 4_000, 100, 100, 111),
        (1_024, 4_000, 1, 64, 255),
        (256, 4_000, 1, 25, 25),
    ] {
        let places = keeping(keep_alive, max_pending).places(limit, 3);
        let expected = Places { waiting, kept };
        assert_eq!(places, expected, "{limit} {keep_alive} {max_pending}");
    }
}

#[test]
fn message_names_the_options_of_which_places_fall_short() {
    for (waiting, kept, expected) in [
        (9, 9, Some("--max-pending and --keep-alive")),
        (9, 10, Some("--max-pending")),
        (10, 9, Some("--keep-alive")),
        (10, 10, None),
    ] {
        let places = Places { waiting, kept };
        assert_eq!(keeping(10, 10).short_of(places), expected, "{places:?}");
    }
}

proptest! {
    #[test]
    fn wanted_limit_has_a_place_for_all_connections_that_may_wait(
        demand in any_demand(),
        inherited in 0_u64..200_000,
    ) {
        let limit = demand.wanted(inherited);
        let places = demand.places(limit, inherited);
        prop_assert_eq!(demand.short_of(places), None, "{:?}", places);
        prop_assert_eq!(demand.check(limit, inherited), Ok(()));
    }

    #[test]
    fn places_fit_into_every_limit_that_is_not_refused(
        demand in any_demand(),
        inherited in 0_u64..5_000,
        limit in 0_u64..20_000,
    ) {
        let Places { waiting, kept } = demand.places(limit, inherited);
        let (waiting, kept) = (waiting as u64, kept as u64);
        prop_assert!(waiting >= 1 && kept <= demand.keep_alive.into());
        prop_assert_eq!(kept == 0, demand.keep_alive == 0);
        if demand.check(limit, inherited).is_ok() {
            let own = inherited + demand.worker() - demand.least();
            prop_assert!(own + KINDS * waiting + kept <= limit, "{waiting} {kept}");
        }
    }

    #[test]
    fn neither_has_less_than_an_equal_share_unless_it_asks_for_less(
        demand in any_demand(),
        limit in 0_u64..20_000,
    ) {
        let Places { waiting, kept } = demand.places(limit, 3);
        let short = demand.short_of(Places { waiting, kept }).unwrap_or_default();
        if short.contains("--keep-alive") {
            // One more is what the division leaves.
            prop_assert!(waiting <= kept + 1, "{waiting} {kept}");
        }
        if short.contains("--max-pending") {
            prop_assert!(kept <= waiting, "{waiting} {kept}");
        }
    }

    #[test]
    fn without_kept_connections_the_others_have_all_places(
        max_pending in 1_u32..5_000,
        limit in 1_000_u64..20_000,
    ) {
        let demand = keeping(0, max_pending);
        let rest = limit - 3 - ((limit - 3) / 2).min(MAX_RESERVED);
        let waiting = usize::try_from(rest / 4).unwrap();
        prop_assert_eq!(demand.places(limit, 3), Places { waiting, kept: 0 });
    }
}

fn any_demand() -> impl Strategy<Value = Demand> {
    let number = || prop_oneof![0_u32..4, 0_u32..1_000, 0_u32..100_000];
    let of = |(threads, max_pending, keep_alive, workers)| Demand {
        threads,
        max_pending,
        keep_alive,
        sockets: 1,
        queues: 0,
        workers,
    };
    let workers = proptest::option::of(1_u32..100);
    (1_u16..1_000, number(), number(), workers).prop_map(of)
}

#[test]
fn limit_is_enough_for_what_is_in_use_and_for_what_is_needed() {
    for (threads, workers, needed) in [
        (1, None, 55),
        (4, None, 61),
        (4, Some(1), 61),
        (4, Some(8), 86),
        (100, Some(8), 253),
    ] {
        let demand = demand(threads, workers);
        for inherited in [3, 20] {
            let lowest = inherited + needed;
            assert_eq!(demand.check(lowest, inherited), Ok(()));
            let refused = demand.check(lowest - 1, inherited).unwrap_err();
            assert_eq!(refused.in_use + refused.needed, lowest);
            assert!(demand.wanted(inherited) >= lowest);
        }
    }
}

#[test]
fn message_names_the_process_that_needs_most_and_what_it_needs_them_for() {
    for (threads, workers, expected) in [
        (
            2,
            Some(1),
            "the open file limit is 20: 3 inherited descriptors are in use, and a worker needs \
             57 more for 2 threads and 1 socket\nhint: raise the limit to at least 60 \
             (LimitNOFILE= in the systemd unit, or ulimit -n), or lower --threads",
        ),
        (4, None, "the server needs 61 more for 4 threads"),
        (
            4,
            Some(8),
            "the master needs 86 more for 8 workers and 1 socket",
        ),
        (4, Some(8), "or lower --workers"),
    ] {
        let message = demand(threads, workers).check(20, 3).unwrap_err();
        let message = message.to_string();
        assert!(message.contains(expected), "{expected} in {message}");
    }
}

#[test]
fn most_workers_raise_the_limit_beyond_that_of_waiting_connections() {
    let few = Demand {
        max_pending: 1,
        keep_alive: 0,
        ..demand(1, Some(1_024))
    };
    assert!(few.wanted(3) > BASE + 2 + 4 * 64);
    assert_eq!(demand(4, Some(4)).wanted(3), BASE + 8 + 4 * 1_024 + 512);
    assert_eq!(keeping(0, 1_024).wanted(3), BASE + 8 + 4 * 1_024);
}
