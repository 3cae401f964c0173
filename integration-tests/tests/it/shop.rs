//! The shop that the guides in docs/ quote, for the tests of what they promise.

use std::fs;

use integration_tests::{Reply, Scoter, ScoterBuilder, apps_folder, get, request, with};
use uwsgi_codec::PacketBuilder;

/// How the application is loaded.
pub(crate) const LOADING: [&[&str]; 2] = [&[], &["--preload"]];

/// Prepares the shop in one of its frameworks.
pub(crate) fn serving(shop: &str) -> ScoterBuilder {
    // Not on the path of other tests, which have modules of the same names.
    let guides = apps_folder().join("guides");
    let scoter = Scoter::serving(shop).args(["--pythonpath".as_ref(), guides.as_os_str()]);
    let database = scoter.folder().join("shop.sqlite3");
    let url = format!("sqlite:///{}", database.display());
    let metrics = scoter.folder().join("metrics");
    let settings = fs::read_to_string(guides.join("shop/production.ini"));
    scoter
        .with_file("production.ini", &settings.expect("a file of ours"))
        .env("DATABASE_URL", url)
        .env("DJANGO_DATABASE", database)
        .env("PROMETHEUS_MULTIPROC_DIR", metrics)
        // Workers that end would wait for a collector that is not there.
        .env("OTEL_SDK_DISABLED", "true")
}

/// Requests a page.
#[track_caller]
pub(crate) fn ask(scoter: &Scoter, path: &str) -> Reply {
    scoter.connect().packet(&page(path)).reply()
}

/// The packet that requests a page.
pub(crate) fn page(path: &str) -> PacketBuilder {
    with(get(path), [("HTTP_HOST", "example.com")])
}

/// Orders something, in a trace.
#[track_caller]
pub(crate) fn order(scoter: &Scoter, article: &str) -> Reply {
    let packet = request("POST", &format!("/orders/{article}"));
    let packet = with(
        packet,
        [("HTTP_HOST", "example.com"), ("HTTP_TRACEPARENT", PARENT)],
    );
    let reply = scoter.connect().packet(&packet).reply();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// The trace of each order.
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
