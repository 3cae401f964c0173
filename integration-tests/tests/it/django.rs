//! A real Django project.

use std::fs;

use hyper::Request;
use integration_tests::{Connections, DjangoSite, Pattern, Site, empty, through_nginx};

use crate::cookie_client::{CookieClient, HOST, field};

fn start(connections: Connections) -> (Site, CookieClient) {
    let site = Site::of(DjangoSite::serving(), connections);
    let client = CookieClient::new(site.client().clone());
    (site, client)
}

/// Logs in on a page that has Django's login form.
#[track_caller]
fn log_in(client: &CookieClient, page: &str) {
    let token = field(&client.get(page), "csrfmiddlewaretoken");
    let form = [
        ("csrfmiddlewaretoken", &*token),
        ("username", DjangoSite::USER),
        ("password", DjangoSite::PASSWORD),
    ];
    let reply = client.post_form(page, &form);
    assert_eq!(reply.status, 302, "{}", reply.text());
}

/// Adds a document and returns the number in its address.
#[track_caller]
fn add_document(client: &CookieClient, title: &str, content: &[u8]) -> String {
    let token = field(&client.get("/"), "csrfmiddlewaretoken");
    let fields = [("csrfmiddlewaretoken", &*token), ("title", title)];
    let reply = client.upload("/documents/add", &fields, "file.bin", content);
    assert_eq!(reply.status, 302, "{}", reply.text());
    let page = client.get("/").text();
    assert!(
        page.contains(&format!("{title}: {} bytes", content.len())),
        "{page}"
    );
    let link = page.split_once("/documents/").expect("a form").1;
    let link = link.split_once("href=\"/documents/").expect("a link").1;
    link.split('/').next().expect("a number").to_owned()
}

#[through_nginx(gateway)]
fn session_is_kept_in_the_database(connections: Connections) {
    let (_site, client) = start(connections);
    let page = client.get("/").text();
    assert!(page.contains("visit number 1."), "{page}");
    assert!(client.get("/").text().contains("visit number 2."));
    log_in(&client, "/accounts/login/");
    assert!(client.cookie("sessionid").is_some());
    assert!(client.get("/").text().contains("Hello, admin."));
    let token = field(&client.get("/"), "csrfmiddlewaretoken");
    client.post_form("/accounts/logout/", &[("csrfmiddlewaretoken", &token)]);
    assert!(!client.get("/").text().contains("Hello, admin."));
}

#[through_nginx(gateway)]
fn login_needs_the_csrf_token_and_the_right_origin(connections: Connections) {
    let (_site, client) = start(connections);
    let token = field(&client.get("/accounts/login/"), "csrfmiddlewaretoken");
    let login = [
        ("username", DjangoSite::USER),
        ("password", DjangoSite::PASSWORD),
    ];
    let reply = client.post_form("/accounts/login/", &login);
    assert_eq!(reply.status, 403, "without a token");
    // Django compares Origin with the host and port it was asked by: the client's is example.com:8080.
    let request = Request::post("/accounts/login/")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Origin", "http://evil.example");
    let body = format!("csrfmiddlewaretoken={token}&username=admin&password=x");
    let reply = client.send(request, integration_tests::whole(body));
    assert_eq!(reply.status, 403, "from another origin");
    log_in(&client, "/accounts/login/");
}

#[through_nginx(gateway)]
fn administration_works(connections: Connections) {
    let (_site, client) = start(connections);
    let reply = client.get("/admin/");
    assert_eq!(reply.status, 302);
    assert_eq!(reply.header("Location"), Some("/admin/login/?next=/admin/"));
    log_in(&client, "/admin/login/?next=/admin/");
    let page = client.get("/admin/").text();
    assert!(page.contains("Site administration"), "{page}");
    let token = field(&client.get("/admin/auth/group/add/"), "csrfmiddlewaretoken");
    let form = [
        ("csrfmiddlewaretoken", &*token),
        ("name", "Gruppe Ä"),
        ("_save", "Save"),
    ];
    let reply = client.post_form("/admin/auth/group/add/", &form);
    assert_eq!(
        (reply.status, reply.header("Location")),
        (302, Some("/admin/auth/group/"))
    );
    let page = client.get("/admin/auth/group/").text();
    assert!(page.contains("Gruppe Ä"), "{page}");
    assert_eq!(client.get("/admin/documents/document/").status, 200);
}

#[through_nginx]
fn upload_can_be_downloaded(connections: Connections) {
    let (_site, client) = start(connections);
    log_in(&client, "/accounts/login/");
    // Django keeps up to 2.5 MB in memory and larger ones in a temporary file.
    for (title, len) in [("small", 1000), ("large", 5_000_000)] {
        let content: Vec<u8> = Pattern::with_length(len).flatten().collect();
        let number = add_document(&client, title, &content);
        for way in ["download", "by-nginx"] {
            let reply = client.get(&format!("/documents/{number}/{way}"));
            assert_eq!(reply.status, 200, "{title} {way}");
            assert!(
                reply.body == content,
                "{title} {way}: {} bytes",
                reply.body.len()
            );
            assert_eq!(
                reply.header("Content-Length"),
                Some(&*len.to_string()),
                "{title} {way}"
            );
        }
    }
}

#[through_nginx(gateway)]
fn documents_of_others_are_protected(connections: Connections) {
    let (site, client) = start(connections);
    log_in(&client, "/accounts/login/");
    let number = add_document(&client, "secret", b"the secret");
    let stranger = CookieClient::new(site.client().clone());
    for way in ["download", "by-nginx"] {
        let reply = stranger.get(&format!("/documents/{number}/{way}"));
        assert_eq!(reply.status, 302, "{way}");
        let login = format!("/accounts/login/?next=/documents/{number}/{way}");
        assert_eq!(reply.header("Location"), Some(&*login), "{way}");
    }
    assert_eq!(stranger.get("/protected/file.bin").status, 404);
}

#[through_nginx]
fn static_files_are_nginx_s(connections: Connections) {
    let (mut site, client) = start(connections);
    for path in ["/static/documents/style.css", "/static/admin/css/base.css"] {
        let reply = client.get(path);
        assert_eq!(
            (reply.status, reply.header("Content-Type")),
            (200, Some("text/css")),
            "{path}"
        );
        let file = fs::read(site.nginx().root().join(&path[1..])).expect("collected");
        assert_eq!(reply.body, file, "{path}");
    }
    assert_eq!(
        site.scoter_mut().stop().stdout,
        "",
        "scoter was never asked"
    );
}

#[through_nginx(gateway)]
fn stream_is_complete(connections: Connections) {
    let (_site, client) = start(connections);
    let reply = client.get("/export?rows=20000");
    assert_eq!(reply.header("Content-Type"), Some("text/csv"));
    let text = reply.text();
    assert_eq!(text.lines().count(), 20_001);
    assert!(text.ends_with("\n19999,399960001\n"), "{}", text.len());
}

#[through_nginx(gateway)]
fn redirects_keep_host_and_port(connections: Connections) {
    let (_site, client) = start(connections);
    // CommonMiddleware appends the slash.
    let reply = client.get("/admin");
    assert_eq!(
        (reply.status, reply.header("Location")),
        (301, Some("/admin/"))
    );
    let reply = client.send(Request::head("/"), empty());
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert!(HOST.ends_with(":8080"));
}

#[through_nginx(gateway)]
fn host_that_is_sent_twice_is_no_bad_request(connections: Connections) {
    let site = Site::with(DjangoSite::serving(), connections, |nginx| {
        nginx.extra(
            "location / {
                include scoter/uwsgi_params;
                uwsgi_param HTTP_HOST $http_host;
                uwsgi_pass scoter;
            }",
        )
    });
    let client = CookieClient::new(site.extra());
    assert_eq!(client.get("/").status, 200);
    log_in(&client, "/accounts/login/");
}

#[through_nginx(gateway)]
fn errors_are_djangos_own(connections: Connections) {
    let (mut site, client) = start(connections);
    assert_eq!(client.get("/missing").status, 404);
    let reply = client.get("/broken");
    assert_eq!(reply.status, 500);
    assert!(
        reply.text().contains("Server Error (500)"),
        "{}",
        reply.text()
    );
    site.scoter_mut().stop();
}
