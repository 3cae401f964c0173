//! What nginx's error log says and what the client gets when something is wrong: the table of README.md.

use std::thread;

use http_body_util::BodyExt;
use hyper::Request;
use integration_tests::{
    Client, Completeness, Connections, Pattern, Scoter, Site, empty, through_nginx, until,
};

/// Waits until nginx has logged `words`: it does so after it has answered.
#[track_caller]
fn assert_logged(site: &Site, words: &str) {
    until(&format!("nginx logs {words:?}"), || {
        site.nginx().error_log().contains(words).then_some(())
    });
}

/// Sends requests that wait at the gate of that name, each from a thread of its own, and returns their
/// statuses once `body` has returned.
fn waiting(client: &Client, gates: &[&str], body: impl FnOnce()) -> Vec<u16> {
    thread::scope(|scope| {
        let requests: Vec<_> = gates
            .iter()
            .map(|gate| scope.spawn(move || client.get(&format!("/waits?{gate}")).status))
            .collect();
        body();
        requests
            .into_iter()
            .map(|request| request.join().expect("the request is answered"))
            .collect()
    })
}

#[through_nginx]
fn server_that_is_not_there(connections: Connections) {
    let mut site = Site::serving("hello", connections);
    site.scoter_mut().stop();
    assert_eq!(site.get("/").status, 502);
    assert_logged(&site, "failed (2: No such file or directory)");
}

#[through_nginx]
fn server_that_was_killed(connections: Connections) {
    let site = Site::serving("hello", connections);
    site.scoter().kill();
    assert_eq!(site.get("/").status, 502);
    assert_logged(&site, "failed (111: Connection refused)");
}

#[through_nginx]
fn server_that_is_killed_while_it_works(connections: Connections) {
    let site = Site::of(
        Scoter::serving("streaming").args(["--threads", "1"]),
        connections,
    );
    let _gates = [site.scoter().gate("a"), site.scoter().gate("b")];
    let client = site.nginx().site();
    thread::scope(|scope| {
        let working = scope.spawn(|| client.get("/waits?a").status);
        site.scoter().wait_for_event("begun a");
        let queued = scope.spawn(|| client.get("/waits?b").status);
        until("the second request waits for the thread", || {
            let peers = std::fs::read_to_string("/proc/net/unix").expect("Linux");
            let socket = site.scoter().socket().to_str().expect("UTF-8");
            // The listener, the connection that is served, the one that waits.
            (peers.lines().filter(|line| line.ends_with(socket)).count() == 3).then_some(())
        });
        site.scoter().kill();
        assert_eq!(working.join().expect("answered"), 502);
        assert_eq!(queued.join().expect("answered"), 502);
    });
    assert_logged(
        &site,
        "upstream prematurely closed connection while reading response header",
    );
    assert_logged(&site, "recv() failed (104: Connection reset by peer)");
}

#[through_nginx]
fn backlog_that_is_full(connections: Connections) {
    let scoter = Scoter::serving("streaming").args(["--threads", "1", "--backlog", "1"]);
    let site = Site::of(scoter, connections);
    let gate = site.scoter().gate("a");
    let client = site.nginx().site();
    let statuses = waiting(&client, &["a"; 8], || {
        assert_logged(&site, "failed (11: Resource temporarily unavailable)");
        gate.open_for(8);
    });
    assert!(
        statuses.contains(&502) && statuses.contains(&200),
        "{statuses:?}"
    );
}

#[through_nginx]
fn application_that_takes_too_long(connections: Connections) {
    let site = Site::with(Scoter::serving("streaming"), connections, |nginx| {
        nginx.extra(
            "location / {
                 include scoter/uwsgi_params;
                 uwsgi_read_timeout 100ms;
                 uwsgi_pass scoter;
             }",
        )
    });
    let gate = site.scoter().gate("a");
    assert_eq!(site.nginx().extra().get("/waits?a").status, 504);
    assert_logged(
        &site,
        "upstream timed out (110: Connection timed out) while reading response header",
    );
    gate.open();
}

#[through_nginx]
fn response_head_that_is_too_large(connections: Connections) {
    let site = Site::serving("heads", connections);
    let head =
        serde_json::json!({ "status": "200 OK", "headers": [["X-Big", "x".repeat(17_000)]] });
    assert_eq!(site.post("/", head.to_string()).status, 502);
    assert_logged(&site, "upstream sent too big header");
}

#[through_nginx]
fn response_that_breaks_off(connections: Connections) {
    let site = Site::serving("failures", connections);
    for path in ["/after_first_chunk_announced", "/too_few_bytes"] {
        let request = Request::get(path).body(empty()).expect("well-formed");
        let (_, completeness) = site.open(request).rest();
        assert_eq!(completeness, Completeness::Cut, "{path}");
    }
    assert_logged(
        &site,
        "upstream prematurely closed connection while reading upstream",
    );
}

#[through_nginx]
fn upload_that_nginx_refuses(connections: Connections) {
    let site = Site::serving("bodies", connections);
    let request = Request::post("/digest").body(Pattern::with_length(129 << 20).boxed());
    assert_eq!(site.open(request.expect("well-formed")).status(), 413);
    assert_logged(&site, "client intended to send too large body");
    assert_eq!(site.scoter().stdout(), "");
}
