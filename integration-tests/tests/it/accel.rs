//! Files that nginx sends: for everybody, and on the application's word.

use std::fs;

use integration_tests::{Connections, Scoter, Site, through_nginx};

fn start(connections: Connections) -> Site {
    let site = Site::of(Scoter::serving("files"), connections);
    for (path, content) in [
        ("static/style.css", "/* static */"),
        ("protected/report.txt", "the report"),
        ("protected/sp ace.txt", "with a space"),
        ("protected/100%.txt", "with a per cent sign"),
    ] {
        fs::write(site.nginx().root().join(path), content).expect("the test's own folder");
    }
    site
}

#[through_nginx]
fn static_files_never_reach_the_application(connections: Connections) {
    let mut site = start(connections);
    let reply = site.get("/static/style.css");
    assert_eq!((reply.status, &*reply.text()), (200, "/* static */"));
    assert_eq!(reply.header("Content-Type"), Some("text/css"));
    assert_eq!(site.get("/static/missing.css").status, 404);
    assert_eq!(site.get("/static/..%2fprotected/report.txt").status, 404);
    assert_eq!(site.scoter_mut().stop().stdout, "");
}

#[through_nginx]
fn application_hands_out_protected_files(connections: Connections) {
    let site = start(connections);
    for (path, content) in [
        ("/protected/report.txt", "the report"),
        ("/protected/sp%20ace.txt", "with a space"),
        ("/protected/100%25.txt", "with a per cent sign"),
    ] {
        let reply = site.get(&format!("/accelerated?{path}"));
        assert_eq!((reply.status, &*reply.text()), (200, content));
        assert_eq!(
            reply.header("Content-Type"),
            Some("text/x-from-application")
        );
        assert_eq!(reply.header("Set-Cookie"), Some("seen=1"));
        assert_eq!(reply.header("X-Accel-Redirect"), None);
    }
    assert_eq!(site.get("/accelerated?/protected/missing.txt").status, 404);
}

#[through_nginx]
fn protected_files_cannot_be_asked_for(connections: Connections) {
    let site = start(connections);
    for path in [
        "/protected/report.txt",
        "/static/../protected/report.txt",
        "//protected/report.txt",
        "/%70rotected/report.txt",
    ] {
        let reply = site.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("the report"), "{path}");
    }
}
