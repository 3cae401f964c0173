//! OpenTelemetry, Sentry and `prometheus_client` in workers that are forked and replaced, as docs/telemetry.md has them.

use std::collections::BTreeSet;
use std::fs;

use integration_tests::{Collector, Scoter, get, python, until, with};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::shop::{LOADING, TRACE, ask, order, page, serving};

/// The shop in each framework, and what its span for an order is called.
const SHOPS: [(&str, &str); 3] = [
    ("shop.flask_app:app", "POST /orders/<article>"),
    ("shop.pyramid_wsgi", "/orders/{article}"),
    ("django_shop.wsgi", "POST orders/<article>"),
];

/// The value of a metric, the sum over its labels; nothing if it is not there.
#[track_caller]
fn metric(scoter: &Scoter, name: &str) -> Option<f64> {
    // prometheus_client fails where it meets a file that a worker is just making: Prometheus scrapes again, too.
    let reply = until("the metrics can be read", || {
        let reply = ask(scoter, "/metrics");
        (reply.status == 200).then_some(reply)
    });
    let text = reply.text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    samples
        .map(|(_, value)| value.parse::<f64>().expect("a number"))
        .reduce(|sum, value| sum + value)
}

#[test]
fn every_span_of_every_worker_reaches_the_collector() {
    for (shop, name) in SHOPS {
        for loading in LOADING {
            let collector = Collector::start();
            let mut scoter = serving(shop)
                .workers("2")
                .args(loading)
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
                .env("OTEL_SERVICE_NAME", "shop")
                .env("OTEL_SDK_DISABLED", "false")
                .start();
            scoter.wait_for_workers(2);
            let orders = 20;
            for _ in 0..orders {
                order(&scoter, "tea");
            }
            ask(&scoter, "/metrics");
            // Those that have not been sent by then are sent at the exit of each worker.
            scoter.stop();
            let spans = collector.spans();
            let spans: Vec<_> = spans.iter().filter(|span| span["span"] == name).collect();
            assert_eq!(spans.len(), orders, "{shop} {loading:?}");
            for span in spans {
                assert_eq!(span["trace"], TRACE, "{span}");
                assert_eq!(span["resource"]["service.name"], "shop", "{span}");
                let worker = &span["resource"]["service.instance.id"];
                let workers = ["worker-1", "worker-2"];
                assert!(workers.iter().any(|it| worker == it), "{span}");
            }
        }
    }
}

#[test]
fn opentelemetry_instrument_needs_no_code() {
    for loading in LOADING {
        let collector = Collector::start();
        let instrument = python().with_file_name("opentelemetry-instrument");
        let mut scoter = serving("flask_app:app")
            .under([instrument])
            .workers("2")
            .args(loading)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none")
            .env("OTEL_SDK_DISABLED", "false")
            .start();
        scoter.wait_for_workers(2);
        let reloaded = scoter.command(["reload"]);
        assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
        for _ in 0..20 {
            assert_eq!(ask(&scoter, "/about").status, 200);
        }
        scoter.stop();
        let spans = collector.spans();
        let about = spans.iter().filter(|span| span["span"] == "GET /about");
        assert_eq!(about.count(), 20, "{loading:?}: {spans:?}");
    }
}

#[test]
fn errors_reach_sentry_with_their_request_ids() {
    for (shop, _) in SHOPS {
        for loading in LOADING {
            let collector = Collector::start();
            let mut scoter = serving(shop)
                .args(loading)
                .env("SENTRY_DSN", collector.dsn())
                .start();
            let packet = with(page("/broken"), [("HTTP_X_REQUEST_ID", "abc-1")]);
            let reply = scoter.connect().packet(&packet).reply();
            assert_eq!(reply.status, 500, "{shop}");
            let event = until("an event", || collector.events().pop());
            assert_eq!(event["tags"]["request_id"], "abc-1", "{shop} {loading:?}");
            assert_eq!(kind(&event), "ZeroDivisionError", "{shop} {loading:?}");
            scoter.stop();
        }
    }
}

#[test]
fn timeout_reaches_sentry() {
    let collector = Collector::start();
    let mut scoter = serving("shop.flask_app:app")
        .args(["--request-timeout", "200ms"])
        .env("SENTRY_DSN", collector.dsn())
        .start();
    assert_eq!(ask(&scoter, "/slow").status, 504);
    let event = until("an event", || collector.events().pop());
    assert_eq!(kind(&event), "RequestTimeout");
    let frames = event["exception"]["values"][0]["stacktrace"]["frames"].as_array();
    let last = frames.and_then(|frames| frames.last()).expect("a stack");
    assert_eq!(last["function"], "slow", "{last}");
    scoter.stop();
}

fn kind(event: &Value) -> &str {
    let exceptions = event["exception"]["values"].as_array().expect("an error");
    exceptions.last().expect("one")["type"]
        .as_str()
        .expect("text")
}

#[test]
fn metrics_of_replaced_workers_add_up_and_their_files_do_not() {
    for loading in LOADING {
        let scoter = serving("shop.flask_app:app")
            .workers("2")
            .args(["--max-requests", "5", "--recycle-jitter", "0%"])
            .args(loading)
            .start();
        let mut orders = 0.0;
        // However long it takes to replace one.
        until("six replacements", || {
            order(&scoter, "tea");
            order(&scoter, "milk");
            orders += 2.0;
            (scoter.log_lines("replacing worker").len() >= 6).then_some(())
        });
        let reloaded = scoter.command(["reload"]);
        assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
        order(&scoter, "tea");
        assert_eq!(
            metric(&scoter, "shop_orders_total"),
            Some(orders + 1.0),
            "{loading:?}"
        );
        // At most one and a half times as many workers run at once, and with --preload a launcher.
        let numbers = |prefix: &str| -> BTreeSet<u32> {
            let files = fs::read_dir(scoter.folder().join("metrics")).expect("the shop made it");
            let names = files.map(|file| file.expect("a file").file_name().into_string());
            let names = names.filter_map(|name| Some(name.ok()?.strip_prefix(prefix)?.to_owned()));
            names
                .map(|rest| rest.strip_suffix(".db").expect("a file of metrics").parse())
                .map(|number| number.expect("a worker's number"))
                .collect()
        };
        let counters = numbers("counter_");
        assert!(counters.is_subset(&(0..=4).collect()), "{counters:?}");
    }
}

#[test]
fn live_gauge_of_a_killed_worker_is_forgotten() {
    for loading in LOADING {
        let scoter = serving("shop.flask_app:app").args(loading).start();
        let worker = scoter.wait_for_workers(1).remove(0);
        let mut peer = scoter.connect();
        peer.packet(&get("/slow"));
        until("one is being packed", || {
            (metric(&scoter, "shop_packing") == Some(1.0)).then_some(())
        });
        worker.signal(Signal::SIGKILL);
        until("its successor", || {
            let workers = scoter.workers();
            let is_new = |it: &integration_tests::Worker| it.is_ready() && it.pid() != worker.pid();
            workers.iter().any(is_new).then_some(())
        });
        assert_eq!(
            metric(&scoter, "shop_packing").unwrap_or(0.0),
            0.0,
            "{loading:?}"
        );
    }
}
