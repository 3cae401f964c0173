//! Every metric, with its name and what it means.

use std::iter::once;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::registry::Unit;

use super::figure::{Family, Figures, Histogram, Labels, Number};
use super::scrape::{Scrape, Usage};
use crate::control::{ListenerStatus, SlotPhase, SlotStatus, WorkerPhase};
use crate::ipc::scoreboard::{Distribution, MethodClass, RefusalReason, StatusClass};

/// All metrics, requests first.
pub(super) fn families(scrape: &Scrape) -> Vec<Family> {
    [requests(scrape), slots_and_workers(scrape), server(scrape)]
        .into_iter()
        .flatten()
        .collect()
}

fn requests(scrape: &Scrape) -> Vec<Family> {
    let Scrape { status, counts, .. } = scrape;
    let (totals, kept) = (&status.totals, &status.totals.kept_connections);
    let bytes = Some(Unit::Bytes);
    vec![
        Family {
            name: "requests",
            help: "Finished requests by method and status class, refused ones included.",
            unit: None,
            figures: Figures::Counters(responses(scrape)),
        },
        Family {
            name: "request_duration",
            help: "Time from accept, or from the first byte on a kept connection, to the end of \
                   the response.",
            unit: Some(Unit::Seconds),
            figures: histogram(&counts.durations),
        },
        Family {
            name: "request_queue",
            help: "Time that requests waited for a thread, as far as it is known.",
            unit: Some(Unit::Seconds),
            figures: histogram(&counts.waits),
        },
        Family {
            name: "request_body",
            help: "Bytes of request bodies that were received.",
            unit: bytes.clone(),
            figures: Figures::counter(counts.request_bytes),
        },
        Family {
            name: "response_body",
            help: "Bytes of response bodies that were sent.",
            unit: bytes,
            figures: Figures::counter(counts.response_bytes),
        },
        Family {
            name: "refusals",
            help: "Connections that the server answered itself with an error, by reason.",
            unit: None,
            figures: Figures::Counters(
                RefusalReason::ALL
                    .into_iter()
                    .map(|reason| {
                        let labels = label("reason", reason.as_str());
                        (labels, counts.refused(reason).into())
                    })
                    .collect(),
            ),
        },
        Family {
            name: "request_timeouts",
            help: "Requests that exceeded --request-timeout.",
            unit: None,
            figures: Figures::counter(totals.timeouts),
        },
        Family {
            name: "peers_gone",
            help: "Clients that disconnected before their response was complete.",
            unit: None,
            figures: Figures::counter(totals.peers_gone),
        },
        Family {
            name: "kept_connections_idle",
            help: "Kept connections that wait for their next request.",
            unit: None,
            figures: Figures::gauge(kept.idle),
        },
        Family {
            name: "kept_connections_reused",
            help: "Requests on connections that had served one before.",
            unit: None,
            figures: Figures::counter(kept.reused),
        },
        Family {
            name: "kept_connections_passed_on",
            help: "Kept connections left to whichever worker is free first.",
            unit: None,
            figures: Figures::counter(kept.passed_on),
        },
        Family {
            name: "kept_connections_out_of_step",
            help: "Connections closed because of bytes that do not match what the front end \
                   announced.",
            unit: None,
            figures: Figures::counter(kept.out_of_step),
        },
        Family {
            name: "listener_waiting_connections",
            help: "Connections that wait in the kernel to be accepted.",
            unit: None,
            figures: Figures::Gauges(listeners(scrape, |listener| listener.waiting)),
        },
        Family {
            name: "listener_capacity_connections",
            help: "Connections that may wait in the kernel; more are refused.",
            unit: None,
            figures: Figures::Gauges(listeners(scrape, |listener| listener.capacity)),
        },
    ]
}

fn slots_and_workers(scrape: &Scrape) -> Vec<Family> {
    let Scrape {
        status,
        counts,
        workers,
        ..
    } = scrape;
    let slots = || status.workers.iter().flat_map(|worker| &worker.slots);
    let used = |figure: fn(&Usage) -> Option<Number>| {
        let known = workers.iter();
        let known = known.filter_map(|(id, usage)| Some((label("worker", id), figure(usage)?)));
        known.collect::<Vec<_>>()
    };
    vec![
        Family {
            name: "slots",
            help: "Threads of workers by what they do.",
            unit: None,
            figures: states(SlotPhase::ALL, slots().map(|slot: &SlotStatus| slot.phase)),
        },
        Family {
            name: "slots_busy",
            help: "Time that threads spent in the application, finished requests only.",
            unit: Some(Unit::Seconds),
            figures: Figures::Counters(alone(Some(counts.busy.into()))),
        },
        Family {
            name: "workers",
            help: "Workers by state.",
            unit: None,
            figures: states(
                WorkerPhase::ALL,
                status.workers.iter().map(|worker| worker.phase),
            ),
        },
        Family {
            name: "workers_wanted",
            help: "Workers that are wanted now.",
            unit: None,
            figures: Figures::gauge(status.workers_wanted.into()),
        },
        Family {
            name: "worker_restarts",
            help: "Workers that were replaced, by reason; reloads are not among these.",
            unit: None,
            figures: Figures::Counters(
                scrape
                    .restarts
                    .iter()
                    .map(|(reason, count)| (label("reason", reason), Number::from(*count)))
                    .collect(),
            ),
        },
        Family {
            name: "worker_resident_memory",
            help: "Resident memory of a worker.",
            unit: Some(Unit::Bytes),
            figures: Figures::Gauges(used(Usage::bytes)),
        },
        Family {
            name: "worker_cpu",
            help: "CPU time of a worker and of those it has replaced.",
            unit: Some(Unit::Seconds),
            figures: Figures::Counters(used(Usage::seconds)),
        },
        Family {
            name: "master_resident_memory",
            help: "Resident memory of the master.",
            unit: Some(Unit::Bytes),
            figures: Figures::Gauges(alone(scrape.master.bytes())),
        },
        Family {
            name: "master_cpu",
            help: "CPU time of the master.",
            unit: Some(Unit::Seconds),
            figures: Figures::Counters(alone(scrape.master.seconds())),
        },
    ]
}

fn server(scrape: &Scrape) -> Vec<Family> {
    let Scrape {
        status, reloads, ..
    } = scrape;
    let last = status.last_reload.as_ref();
    vec![
        Family {
            name: "ready",
            help: "Whether to send requests here: 1 or 0.",
            unit: None,
            figures: Figures::gauge(status.ready.into()),
        },
        Family {
            name: "generation",
            help: "The generation of the code that serves; each reload takes the next number.",
            unit: None,
            figures: Figures::gauge(status.generation.into()),
        },
        Family {
            name: "reloads",
            help: "Reloads and upgrades that have ended, by outcome.",
            unit: None,
            figures: Figures::Counters(vec![
                (label("outcome", "succeeded"), reloads.succeeded.into()),
                (label("outcome", "failed"), reloads.failed.into()),
            ]),
        },
        Family {
            name: "last_reload_successful",
            help: "Whether the last reload succeeded: 1 or 0.",
            unit: None,
            figures: Figures::Gauges(alone(last.map(|last| Number::Whole(last.ok.into())))),
        },
        Family {
            name: "last_reload_timestamp",
            help: "When the last reload ended, in Unix time.",
            unit: Some(Unit::Seconds),
            figures: Figures::Gauges(alone(last.map(|last| unix_time(last.at)))),
        },
        Family {
            name: "start_time",
            help: "When the server started, in Unix time; an upgrade does not change it.",
            unit: Some(Unit::Seconds),
            figures: Figures::Gauges(alone(Some(unix_time(status.started_at)))),
        },
        Family {
            name: "build",
            help: "The versions of scoter and of Python.",
            unit: None,
            figures: Figures::Info(vec![
                ("version", status.version.clone()),
                ("python", scrape.python.clone()),
            ]),
        },
    ]
}

fn responses(scrape: &Scrape) -> Vec<(Labels, Number)> {
    let rows = MethodClass::ALL
        .into_iter()
        .flat_map(|method| StatusClass::ALL.map(|status| (method, status)));
    rows.map(|(method, status)| {
        let count = scrape.counts.responses[status as usize][method as usize];
        let labels = vec![
            ("method", method.as_str().to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        (status, labels, count)
    })
    // No application may answer so but for 101, which is hardly ever seen.
    .filter(|(status, _, count)| *status != StatusClass::Informational || *count > 0)
    .map(|(_, labels, count)| (labels, count.into()))
    .collect()
}

fn listeners(scrape: &Scrape, figure: fn(&ListenerStatus) -> Option<u32>) -> Vec<(Labels, Number)> {
    let known = scrape.status.listeners.iter().filter_map(|listener| {
        let count = figure(listener)?;
        Some((
            label("listener", &listener.address),
            Number::Whole(count.into()),
        ))
    });
    known.collect()
}

/// How many there are in each of all states.
fn states<S: PartialEq + ToString, const N: usize>(
    all: [S; N],
    found: impl Iterator<Item = S>,
) -> Figures {
    let found: Vec<_> = found.collect();
    let states = all.into_iter().map(|state| {
        let count = found.iter().filter(|it| **it == state).count() as u64;
        (label("state", state), count.into())
    });
    Figures::Gauges(states.collect())
}

fn histogram(distribution: &Distribution) -> Figures {
    let mut before = 0;
    let mut buckets: Vec<_> = BOUNDS_US
        .into_iter()
        .map(|bound| {
            let up_to = distribution.up_to(Duration::from_micros(bound));
            let count = up_to - std::mem::replace(&mut before, up_to);
            (bound as f64 / 1e6, count)
        })
        .collect();
    buckets.extend(once((f64::INFINITY, distribution.count() - before)));
    Figures::Histogram(Histogram {
        sum: distribution.sum.as_secs_f64(),
        buckets,
    })
}

fn alone(figure: Option<Number>) -> Vec<(Labels, Number)> {
    figure
        .map(|figure| (Vec::new(), figure))
        .into_iter()
        .collect()
}

fn label(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

fn unix_time(at: Timestamp) -> Number {
    Number::Real(at.as_millisecond() as f64 / 1e3)
}

impl Usage {
    fn bytes(&self) -> Option<Number> {
        self.rss_bytes.map(Number::from)
    }

    fn seconds(&self) -> Option<Number> {
        self.cpu.map(Number::from)
    }
}

/// Upper bounds in microseconds: those that Prometheus' clients begin with, from 5 ms to 10 s, and
/// some on either side: a cached page takes less, an upload more. Each is also one of the
/// distribution's own.
const BOUNDS_US: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_every_value_once() {
        let values = [0, 1, 2, 7, 30_000, 30_001, 60_000, 90_000].map(Duration::from_millis);
        let Figures::Histogram(histogram) = histogram(&Distribution::of(&values)) else {
            panic!("a histogram");
        };
        let counts: Vec<_> = histogram.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1]);
        assert_eq!(histogram.sum, 210.011);
    }

    #[test]
    fn every_bound_is_one_of_the_histogram() {
        for bound in BOUNDS_US.map(Duration::from_micros) {
            let just_above = bound + Duration::from_nanos(1);
            let distribution = Distribution::of(&[bound, just_above]);
            assert_eq!(distribution.up_to(bound), 1, "{bound:?}");
        }
    }

    #[test]
    fn states_that_nobody_is_in_are_zero() {
        let Figures::Gauges(states) = states(SlotPhase::ALL, [SlotPhase::Running].into_iter())
        else {
            panic!("gauges");
        };
        let states: Vec<_> = states
            .iter()
            .map(|(labels, count)| (labels[0].1.as_str(), *count))
            .collect();
        let [none, one] = [0, 1].map(Number::Whole);
        assert_eq!(
            states,
            [("idle", none), ("running", one), ("timed-out", none)]
        );
    }
}
