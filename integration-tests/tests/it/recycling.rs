//! Workers that have served enough are replaced: one after the other, the successor first.

use std::collections::BTreeMap;

use integration_tests::{
    Connections, Crowd, Reply, Scoter, ScoterBuilder, Site, through_nginx, until,
};

/// A server that says in its log when a replacing worker, and when it has ended.
fn serving(workers: &str, limit: [&str; 2]) -> ScoterBuilder {
    Scoter::serving("workers")
        .workers(workers)
        .args(["--log-level", "debug", "--recycle-jitter", "0%"])
        .args(limit)
}

#[track_caller]
fn assert_all_answered(replies: &[Reply]) {
    let failed: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:?}",
        failed.len(),
        replies.len()
    );
}

/// Checks that a replacement began only when the one before was over, and that the successor was there first.
#[track_caller]
fn assert_one_at_a_time(log: &str) {
    let mut replaced: Option<&str> = None;
    let mut successor = false;
    for line in log.lines() {
        if let Some(worker) = field(line, "replacing worker worker=") {
            assert_eq!(replaced, None, "two at once: {line}");
            (replaced, successor) = (Some(worker), false);
        } else if line.contains("worker ready worker=") && replaced.is_some() {
            successor = true;
        } else if let Some(worker) = field(line, "worker ended worker=") {
            assert_eq!(replaced.take(), Some(worker), "nobody asked it: {line}");
            assert!(successor, "its place was empty: {line}");
        }
    }
}

fn field<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(prefix)?;
    rest.split(' ').next()
}

#[through_nginx(gateway)]
fn workers_with_many_requests_are_replaced_and_nothing_is_lost(connections: Connections) {
    let site = Site::of(serving("2", ["--max-requests", "50"]), connections);
    let crowd = Crowd::asking(&site, "/who", 16);
    // However long it takes to replace one: each of these has served.
    site.scoter().wait_for_log_lines(6, "replacing worker");
    let replies = crowd.leave();
    assert_all_answered(&replies);

    let mut requests = BTreeMap::new();
    for reply in &replies {
        *requests.entry(reply.text()).or_insert(0) += 1;
    }
    assert!(requests.len() >= 6, "{requests:?}");
    let log = site.scoter().stderr();
    assert_one_at_a_time(&log);
    for line in site.scoter().log_lines("replacing worker") {
        assert!(line.contains("max-requests"), "{line}");
        let served: usize = field(&line, "requests=")
            .expect("a field")
            .parse()
            .expect("a number");
        assert!(served >= 50, "{line}");
    }
    assert_eq!(site.failures(), "");
}

#[through_nginx(gateway)]
fn worker_is_replaced_for_its_age(connections: Connections) {
    let site = Site::of(serving("2", ["--max-lifetime", "1s"]), connections);
    let crowd = Crowd::asking(&site, "/who", 4);
    for line in site.scoter().wait_for_log_lines(4, "replacing worker") {
        assert!(line.contains("max-lifetime"), "{line}");
    }
    assert_all_answered(&crowd.leave());
    assert_one_at_a_time(&site.scoter().stderr());
}

#[test]
fn limit_that_a_fresh_worker_exceeds_is_warned_of_once() {
    let scoter = serving("1", ["--max-rss", "1M"]).start();
    scoter.wait_for_log_lines(3, "replacing worker");
    let warnings = scoter.log_lines("--max-rss is less than");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(
        warning.contains("WARN") && warning.contains("limit_mib=1"),
        "{warning}"
    );
}

#[through_nginx(gateway)]
fn worker_is_replaced_for_its_memory(connections: Connections) {
    let site = Site::of(serving("1", ["--max-rss", "100M"]), connections);
    let first = site.get("/who").text();
    // Under its limit it stays.
    assert_eq!(site.get("/grows").text(), first);
    let small = site.scoter().worker();
    assert!(small.resident_kib() < 100 << 10);
    assert_eq!(site.get("/grows").text(), first);
    let line = site.scoter().wait_for_log("replacing worker");
    assert!(line.contains("max-rss"), "{line}");
    until("another one serves", || {
        (site.get("/who").text() != first).then_some(())
    });
    small.wait_until_gone();
    assert_one_at_a_time(&site.scoter().stderr());
}
