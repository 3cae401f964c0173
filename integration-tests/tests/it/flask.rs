//! A real Flask application.

use hyper::Request;
use integration_tests::{
    Connections, Pattern, Scoter, ScoterBuilder, Site, empty, through_nginx, whole,
};

use crate::cookie_client::{CookieClient, HOST};

fn prepare() -> ScoterBuilder {
    let scoter = Scoter::serving("flask_app:app");
    let data = scoter.folder().join("uploads");
    scoter.env("FLASK_APP_DATA", data)
}

fn start(connections: Connections) -> (Site, CookieClient) {
    let site = Site::of(prepare(), connections);
    let client = CookieClient::new(site.client().clone());
    (site, client)
}

#[through_nginx(gateway)]
fn session_is_kept_in_a_cookie(connections: Connections) {
    let (_site, client) = start(connections);
    let page = client.get("/");
    assert_eq!(
        (page.status, page.header("Content-Type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("visit number 1."), "{}", page.text());
    assert!(client.get("/").text().contains("visit number 2."));
    let reply = client.post_form("/sign", &[("name", "Zoë & Co. <b>")]);
    assert_eq!((reply.status, reply.header("Location")), (302, Some("/")));
    let page = client.get("/").text();
    assert!(page.contains("Welcome, Zoë &amp; Co. &lt;b&gt;!"), "{page}");
    assert!(page.contains("visit number 3."), "{page}");
}

#[through_nginx(gateway)]
fn upload_can_be_downloaded(connections: Connections) {
    let (_site, client) = start(connections);
    let content: Vec<u8> = Pattern::with_length(3_000_000).flatten().collect();
    let reply = client.upload("/upload", &[], "file.bin", &content);
    assert_eq!(reply.status, 302);
    let page = client.get("/").text();
    assert!(page.contains("file.bin: 3000000 bytes"), "{page}");
    let name = page
        .split_once("/uploads/")
        .expect("a link")
        .1
        .split('"')
        .next()
        .expect("quoted");
    let file = client.get(&format!("/uploads/{name}"));
    assert!(file.body == content);
    assert_eq!(file.header("Content-Length"), Some("3000000"));
    let part = client.send(
        Request::get(format!("/uploads/{name}")).header("Range", "bytes=100-199"),
        empty(),
    );
    assert_eq!((part.status, part.body.as_ref()), (206, &content[100..200]));
    let unchanged = client.send(
        Request::get(format!("/uploads/{name}")).header(
            "If-None-Match",
            file.header("ETag").expect("Flask adds one"),
        ),
        empty(),
    );
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
}

#[through_nginx(gateway)]
fn upload_beyond_the_limit_is_a_413(connections: Connections) {
    // Flask refuses without reading, MAX_CONTENT_LENGTH.
    let (_site, client) = start(connections);
    let reply = client.upload("/upload", &[], "file.bin", &vec![b'x'; 17 << 20]);
    assert_eq!(reply.status, 413);
    assert!(
        reply.text().contains("Request Entity Too Large"),
        "{}",
        reply.text()
    );
}

#[through_nginx(gateway)]
fn request_is_understood(connections: Connections) {
    let (_site, client) = start(connections);
    let request = Request::put("/about?a=1&a=%C3%A9&b=")
        .header("Content-Type", "application/json")
        .header("Cookie", "first=1");
    let seen = client.send(request, whole(r#"{"key": [1, 2]}"#)).json();
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["url"], format!("http://{HOST}/about?a=1&a=é&b="));
    assert_eq!(
        seen["args"],
        serde_json::json!({ "a": ["1", "é"], "b": [""] })
    );
    assert_eq!(seen["json"], serde_json::json!({ "key": [1, 2] }));
    assert_eq!(seen["cookies"]["first"], "1");
    assert_eq!(seen["link"], format!("http://{HOST}/about"));
    let seen = client.post_form("/about", &[("name", "a b&c=d é")]).json();
    assert_eq!(seen["form"]["name"][0], "a b&c=d é");
}

#[through_nginx]
fn mounted_application_knows_its_prefix(connections: Connections) {
    let (_site, client) = start(connections);
    let seen = client.get("/mounted/about").json();
    assert_eq!(
        (&seen["script_root"], &seen["path"]),
        (&"/mounted".into(), &"/about".into())
    );
    assert_eq!(seen["link"], format!("http://{HOST}/mounted/about"));
    assert!(
        client
            .get("/mounted/")
            .text()
            .contains("/mounted/static/style.css")
    );
    let reply = client.post_form("/mounted/sign", &[("name", "me")]);
    assert_eq!(reply.header("Location"), Some("/mounted/"));
}

#[through_nginx(gateway)]
fn stream_is_complete(connections: Connections) {
    let (_site, client) = start(connections);
    let text = client.get("/clock?lines=50&pause=0").text();
    assert_eq!(text.lines().count(), 50);
    assert!(
        text.starts_with("50 to go") && text.contains("\n1 to go"),
        "{text}"
    );
}

#[through_nginx(gateway)]
fn errors_are_flasks_own(connections: Connections) {
    let (mut site, client) = start(connections);
    assert_eq!(client.get("/missing").status, 404);
    assert_eq!(client.send(Request::post("/clock"), empty()).status, 405);
    assert_eq!(client.post_form("/sign", &[("name", " ")]).status, 400);
    let reply = client.get("/broken");
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("Internal Server Error"));
    // Flask logs to wsgi.errors.
    let log = site.scoter_mut().stop().stderr;
    assert_eq!(
        log.matches("RuntimeError: broken on purpose").count(),
        1,
        "{log}"
    );
}
