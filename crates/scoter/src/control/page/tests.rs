use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::fixture::{busy, idle, server, worker};
use super::*;
use crate::control::protocol::{ReloadStatus, SlotPhase, SlotStatus, WorkerStatus};

fn page(status: &Status) -> String {
    Page(status).to_string()
}

#[test]
fn policy_allows_the_pages_own_style_and_script_only() {
    for (directive, text) in [("style-src", STYLE), ("script-src", SCRIPT)] {
        let hash = STANDARD.encode(Sha256::digest(text));
        let expected = format!("{directive} 'sha256-{hash}';");
        assert!(
            CONTENT_SECURITY_POLICY.contains(&expected),
            "CONTENT_SECURITY_POLICY must say {expected}"
        );
    }
}

#[test]
fn running_requests_come_longest_first_and_idle_slots_as_a_number() {
    let mut long = busy("/report?month=11");
    long.age_ms = Some(192_000);
    long.phase = SlotPhase::TimedOut;
    let html = page(&server([
        worker(1, [idle(), busy("/quick")]),
        worker(2, [idle(), idle(), long]),
    ]));
    assert!(
        html.contains("<b>2</b> <span>of 5</span>"),
        "busy threads in {html}"
    );
    let (_, rows) = html.split_once("<h2 id=\"requests\">").unwrap();
    let (rows, _) = rows.split_once("</table>").unwrap();
    let first = rows.find("3m12s <em>timed out</em>").unwrap();
    let second = rows.find("<b>GET</b> /quick").unwrap();
    assert!(first < second, "{rows}");
    assert!(rows.contains("worker 2, thread 2"), "{rows}");
    assert_eq!(rows.matches("<tr").count(), 3, "{rows}");
}

#[test]
fn figures_are_sums_of_what_is_known() {
    let mut status = server([worker(1, [idle()]), worker(2, [idle()]), worker(3, [])]);
    let html = page(&status);
    assert!(!html.contains("<dt>CPU</dt>"), "{html}");
    for (worker, cpu, rss) in [(0, Some(0.75), Some(3 << 20)), (1, Some(1.5), None)] {
        status.workers[worker].cpu_ratio = cpu;
        status.workers[worker].rss_bytes = rss;
    }
    status.listeners.push(status.listeners[0].clone());
    status.listeners[0].waiting = Some(3);
    status.listeners[1].waiting = Some(4);
    status.latency.p50_ms = Some(3.54);
    status.latency.p99_ms = Some(1_250.0);
    let html = page(&status);
    for figure in [
        "<dt>CPU</dt><dd><b>225%</b> <span>of one core</span>",
        "<dt>Memory</dt><dd><b>67.0M</b>",
        "<dt>Waiting connections</dt><dd><b>7</b> <span>of 2,050</span>",
        "<dt>Median latency</dt><dd><b>3.5ms</b> <span>p99 1.2s</span>",
        "<dt>Median queue time</dt><dd><b>–</b>",
    ] {
        assert!(html.contains(figure), "{figure} in {html}");
    }
}

#[test]
fn whatever_a_stranger_sends_is_text() {
    const HOSTILE: &str = "</title></pre></td><script>alert(1)</script><img src=x onerror=\"alert('2')\">\u{202e}&amp;";
    const SHOWN: &str = "&lt;/title&gt;&lt;/pre&gt;&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x \
         onerror=&quot;alert(&#39;2&#39;)&quot;&gt;\\u{202e}&amp;amp;";
    let mut status = server([worker(
        1,
        [SlotStatus {
            method: Some(HOSTILE.to_owned()),
            request_id: Some(HOSTILE.to_owned()),
            ..busy(HOSTILE)
        }],
    )]);
    status.name = Some(HOSTILE.to_owned());
    status.version = HOSTILE.to_owned();
    status.listeners[0].address = HOSTILE.to_owned();
    status.last_reload = Some(ReloadStatus {
        error: Some(HOSTILE.to_owned()),
        ..ReloadStatus::default()
    });
    let html = page(&status);
    // Title, heading, version, the request's three, address, traceback.
    assert_eq!(html.matches(SHOWN).count(), 8, "{html}");
    assert!(!html.contains("alert('2')"), "{html}");
    assert!(!html.contains('\u{202e}'), "{html}");
}

#[test]
fn failed_reload_shows_all_of_its_traceback() {
    let mut status = server([worker(1, [idle()])]);
    let at = "2026-11-22T11:00:00Z".parse().unwrap();
    status.last_reload = Some(ReloadStatus {
        at,
        ok: false,
        generation: 4,
        error: Some(
            "app could not be imported\nTraceback:\n  File \"app.py\"\nKeyError: 1\n".to_owned(),
        ),
    });
    let html = page(&status);
    assert!(
        html.contains(
            ">app could not be imported\nTraceback:\n  File &quot;app.py&quot;\nKeyError: 1</pre>"
        ),
        "{html}"
    );
    assert!(html.contains(">5m00s ago</time>, generation 4"), "{html}");
}

#[test]
fn page_of_the_largest_server_is_bounded_and_complete_in_its_numbers() {
    let long_uri = "/".to_owned() + &"<".repeat(250);
    let workers = (0..1_024).map(|id| worker(id, (0..64).map(|_| busy(&long_uri))));
    let workers: Vec<WorkerStatus> = workers.collect();
    let html = page(&server(workers));
    assert!(html.len() < 512 << 10, "{} bytes", html.len());
    assert!(html.contains("<b>65,536</b> <span>of 65,536</span>"));
    assert!(html.contains("And 65,436 requests more."));
    assert!(html.contains("And 768 workers more."));
}

#[test]
fn worker_that_is_not_ready_is_never_among_the_rest() {
    let mut workers: Vec<_> = (0..300).map(|id| worker(id, [idle()])).collect();
    workers[299].phase = crate::control::protocol::WorkerPhase::Stuck;
    assert!(page(&server(workers)).contains("<span class=\"state bad\">stuck</span>"));
}
