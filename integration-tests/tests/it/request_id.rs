//! One id for a request, in the application and in both logs.

use integration_tests::{Scoter, Site, get, with};

/// Serves the environ, and logs the request's id.
fn echo() -> Scoter {
    Scoter::serving("echo")
        .args(["--access-log-format", "$request_id"])
        .start()
}

fn is_made(id: &str) -> bool {
    id.len() == 32
        && id
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn id_of_the_front_end_is_kept() {
    let mut scoter = echo();
    let packet = with(get("/"), [("HTTP_X_REQUEST_ID", "Root=1-67/ab:c")]);
    let seen = scoter.connect().packet(&packet).reply().json();
    assert_eq!(seen["environ"]["HTTP_X_REQUEST_ID"], "Root=1-67/ab:c");
    assert_eq!(scoter.stop().stdout, "Root=1-67/ab:c\n");
}

#[test]
fn id_is_made_where_there_is_none() {
    let mut scoter = echo();
    let mut ids: Vec<String> = (0..20)
        .map(|_| {
            let seen = scoter.connect().packet(&get("/")).reply().json();
            assert_eq!(seen["types"]["HTTP_X_REQUEST_ID"], "str");
            let id = &seen["environ"]["HTTP_X_REQUEST_ID"];
            id.as_str().expect("always there").to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| is_made(id)), "{ids:?}");
    let mut logged: Vec<_> = scoter.stop().stdout.lines().map(str::to_owned).collect();
    logged.sort_unstable();
    ids.sort_unstable();
    assert_eq!(logged, ids);
    ids.dedup();
    assert_eq!(ids.len(), 20, "none comes twice");
}

#[test]
fn id_that_could_harm_a_log_is_replaced() {
    let mut scoter = echo();
    let long = "x".repeat(129);
    let hostile: [&[u8]; 8] = [
        b"",
        b"a b",
        b"a\"b",
        b"a\\b",
        b"a\n192.0.2.9 - forged",
        b"\x1b[31m",
        b"caf\xc3\xa9",
        long.as_bytes(),
    ];
    let mut made: Vec<String> = hostile
        .iter()
        .map(|id| {
            let packet = with(get("/"), [("HTTP_X_REQUEST_ID", id)]);
            let seen = scoter.connect().packet(&packet).reply().json();
            let id = &seen["environ"]["HTTP_X_REQUEST_ID"];
            id.as_str().expect("always there").to_owned()
        })
        .collect();
    assert!(made.iter().all(|id| is_made(id)), "{made:?}");
    made.sort_unstable();
    let log = scoter.stop().stdout;
    let mut logged: Vec<_> = log.lines().collect();
    logged.sort_unstable();
    assert_eq!(logged, made);
}

#[test]
fn last_of_several_ids_is_the_only_one() {
    let mut scoter = echo();
    for ids in [
        &["two", "one"][..],
        &["three", "two", "one"],
        &["not one", "", "two", "one"],
        &["one", "one", "one"],
    ] {
        let packet = with(get("/"), ids.iter().map(|id| ("HTTP_X_REQUEST_ID", id)));
        let seen = scoter.connect().packet(&packet).reply().json();
        assert_eq!(seen["environ"]["HTTP_X_REQUEST_ID"], "one", "{ids:?}");
    }
    assert_eq!(scoter.stop().stdout, "one\n".repeat(4));
}

#[test]
fn unusable_last_id_is_replaced_whatever_precedes() {
    let mut scoter = echo();
    for ids in [&["two", "not one"][..], &["three", "two", ""]] {
        let packet = with(get("/"), ids.iter().map(|id| ("HTTP_X_REQUEST_ID", id)));
        let seen = scoter.connect().packet(&packet).reply().json();
        let id = seen["environ"]["HTTP_X_REQUEST_ID"].as_str();
        let id = id.expect("always there");
        assert!(is_made(id), "{ids:?}: {id}");
    }
    let log = scoter.stop().stdout;
    assert!(log.lines().all(is_made), "{log}");
}

#[test]
fn id_of_nginx_reaches_the_application() {
    let site = Site::serving("echo");
    let seen = site.get("/").json();
    let id = seen["environ"]["HTTP_X_REQUEST_ID"].as_str().expect("sent");
    assert!(is_made(id), "nginx's $request_id looks the same: {id}");
}

#[test]
fn errors_name_the_request_by_its_id() {
    let mut scoter = Scoter::serving("failures")
        .args(["--access-log-format", "$request_id"])
        .start();
    let given = with(get("/before_start"), [("HTTP_X_REQUEST_ID", "given-1")]);
    scoter.connect().packet(&given).reply();
    scoter.wait_for_log("request_id=\"given-1\"");
    scoter.connect().packet(&get("/before_start")).reply();
    let made = scoter.wait_for_access_log(2).pop().expect("two lines");
    assert!(is_made(&made), "{made}");
    let log = scoter.stop().stderr;
    assert!(log.contains(&format!("request_id=\"{made}\"")), "{log}");
}
