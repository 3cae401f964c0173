//! One id for a request, in the application and in both logs.

use integration_tests::{Connections, Scoter, Site, get, through_nginx, with};

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

/// What one request with these `HTTP_X_REQUEST_ID`s finds in its environ: the header, if there is
/// one, and the server's id.
fn seen(scoter: &Scoter, sent: &[&[u8]]) -> (Option<String>, String) {
    let packet = with(get("/"), sent.iter().map(|id| ("HTTP_X_REQUEST_ID", id)));
    in_environ(&scoter.connect().packet(&packet).reply().json())
}

fn in_environ(seen: &serde_json::Value) -> (Option<String>, String) {
    let text = |name| seen["environ"][name].as_str().map(str::to_owned);
    assert_eq!(seen["types"]["scoter.request_id"], "str");
    let id = text("scoter.request_id").expect("always there");
    (text("HTTP_X_REQUEST_ID"), id)
}

#[test]
fn id_that_was_sent_is_the_servers() {
    let mut scoter = echo();
    let sent = "Root=1-67/ab:c";
    let (header, id) = seen(&scoter, &[sent.as_bytes()]);
    assert_eq!((header.as_deref(), &*id), (Some(sent), sent));
    assert_eq!(scoter.stop().stdout, format!("{sent}\n"));
}

#[test]
fn request_without_an_id_gets_one_and_no_header() {
    let mut scoter = echo();
    let mut ids: Vec<String> = (0..20)
        .map(|_| {
            let (header, id) = seen(&scoter, &[]);
            assert_eq!(header, None);
            id
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
fn header_that_could_harm_a_log_stays_as_sent_and_is_not_the_id() {
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
        .map(|sent| {
            let (header, id) = seen(&scoter, &[sent]);
            let latin1: String = sent.iter().copied().map(char::from).collect();
            assert_eq!(header, Some(latin1));
            id
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
    let several: [&[&[u8]]; 4] = [
        &[b"two", b"one"],
        &[b"three", b"two", b"one"],
        &[b"not one", b"", b"two", b"one"],
        &[b"one", b"one", b"one"],
    ];
    for ids in several {
        let (header, id) = seen(&scoter, ids);
        assert_eq!((header.as_deref(), &*id), (Some("one"), "one"), "{ids:?}");
    }
    assert_eq!(scoter.stop().stdout, "one\n".repeat(4));
}

#[test]
fn unusable_last_id_is_not_the_servers_whatever_precedes() {
    let mut scoter = echo();
    let several: [(&[&[u8]], &str); 2] = [
        (&[b"two", b"not one"], "not one"),
        (&[b"three", b"two", b""], ""),
    ];
    for (ids, last) in several {
        let (header, id) = seen(&scoter, ids);
        assert_eq!(header.as_deref(), Some(last), "{ids:?}");
        assert!(is_made(&id), "{ids:?}: {id}");
    }
    let log = scoter.stop().stdout;
    assert!(log.lines().all(is_made), "{log}");
}

#[test]
fn variable_of_the_servers_name_does_not_replace_the_id() {
    let mut scoter = echo();
    let packet = with(get("/"), [("scoter.request_id", "forged")]);
    let (_, id) = in_environ(&scoter.connect().packet(&packet).reply().json());
    assert!(is_made(&id), "{id}");
    assert_eq!(scoter.stop().stdout, format!("{id}\n"));
}

#[through_nginx]
fn id_of_nginx_reaches_the_application(connections: Connections) {
    let site = Site::serving("echo", connections);
    let (header, id) = in_environ(&site.get("/").json());
    assert_eq!(header.as_deref(), Some(&*id));
    assert!(is_made(&id), "nginx's $request_id looks the same: {id}");
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

#[test]
fn messages_of_the_applications_own_logging_have_it() {
    let mut scoter = Scoter::serving("request_ids").start();
    let packet = with(get("/tea"), [("HTTP_X_REQUEST_ID", b"given-1")]);
    assert_eq!(scoter.connect().packet(&packet).reply().text(), "done\n");
    let pid = scoter.worker().pid();
    let log = scoter.stop().stderr;
    let expected = format!(" {pid} given-1 asked for /tea\n");
    assert!(log.contains(&expected), "{log}");
}
