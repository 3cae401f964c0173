//! Responses that nginx keeps (`uwsgi_cache`).

use std::fs;
use std::path::Path;

use hyper::Request;
use integration_tests::{Connections, Reply, Scoter, Site, empty, through_nginx};

/// Starts a site whose second server block caches, with the lines that `site.conf` has for it as comments.
fn start(app: &str, connections: Connections) -> Site {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nginx-conf/site.conf");
    let site = fs::read_to_string(site).expect("the operator's file");
    let advised: String = site
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#uwsgi_cache"))
        .map(|rest| format!("uwsgi_cache{rest}\n"))
        .collect();
    assert_eq!(advised.lines().count(), 2, "{advised}");
    Site::with(Scoter::serving(app), connections, |nginx| {
        nginx
            .http("uwsgi_cache_path temp/cache keys_zone=pages:1m;")
            .extra(&format!(
                "location / {{
                    include scoter/uwsgi_params;
                    {advised}
                    add_header X-Cache $upstream_cache_status;
                    uwsgi_pass scoter;
                }}"
            ))
    })
}

fn head(site: &Site, path: &str) -> Reply {
    let request = Request::head(path).body(empty());
    site.nginx().extra().send(request.expect("a request"))
}

#[through_nginx]
fn answer_to_head_is_not_served_for_a_get(connections: Connections) {
    let site = start("cacheable", connections);
    for path in ["/list", "/generator"] {
        assert_eq!(head(&site, path).status, 200);
        let get = || site.nginx().extra().get(path);
        let (first, second) = (get(), get());
        assert_eq!(
            (first.header("X-Cache"), &*first.text()),
            (Some("MISS"), "the page"),
            "{path}"
        );
        assert_eq!(
            (second.header("X-Cache"), &*second.text()),
            (Some("HIT"), "the page"),
            "{path}"
        );
        let again = head(&site, path);
        assert_eq!((again.status, &*again.text()), (200, ""), "{path}");
    }
}
