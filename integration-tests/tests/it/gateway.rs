//! The gateway of uwsgi-http in front of scoter: what no test of nginx shows. The others run as `…::gateway`.

use integration_tests::{Connections, Scoter, Site};

#[test]
fn connections_are_kept_and_used_again() {
    let site = Site::serving("hello", Connections::Gateway);
    for _ in 0..20 {
        assert_eq!(site.get("/").status, 200);
    }
    let kept = &site.scoter().status()["totals"]["kept_connections"];
    assert_eq!(kept["reused"], 19, "{kept}");
}

#[test]
fn server_that_keeps_nothing_serves_as_ever() {
    let scoter = Scoter::serving("hello").args(["--keep-alive", "0"]);
    let site = Site::of(scoter, Connections::Gateway);
    for _ in 0..3 {
        assert_eq!(site.get("/").status, 200);
    }
    assert_eq!(site.failures(), "");
}

#[test]
fn server_that_has_gone_is_a_bad_gateway_and_explained() {
    let mut site = Site::serving("hello", Connections::Gateway);
    assert_eq!(site.get("/").status, 200);
    site.scoter_mut().stop();
    let reply = site.get("/");
    assert_eq!((reply.status, &*reply.reason), (502, "Bad Gateway"));
    let log = site.failures();
    assert!(log.contains("start the server"), "{log}");
}
