//! Connections to databases in workers that have several threads, or that are forked from a loaded application.

use crate::shop::{LOADING, order, serving};

#[test]
fn no_worker_uses_a_connection_of_the_import() {
    for shop in ["shop.flask_app:app", "django_shop.wsgi"] {
        for loading in LOADING {
            let scoter = serving(shop).args(["--threads", "1"]).args(loading).start();
            let reply = order(&scoter, "tea").json();
            assert_eq!(reply["own connection"], true, "{shop} {loading:?}");
        }
    }
}

#[test]
fn django_opens_a_connection_for_each_thread_and_keeps_it() {
    let mut scoter = serving("django_shop.wsgi").args(["--threads", "3"]).start();
    // One while it is imported, which is closed.
    assert_eq!(scoter.events(), ["connection opened"]);
    for _ in 0..30 {
        order(&scoter, "tea");
    }
    scoter.stop();
    let opened = scoter.events().len() - 1;
    assert!((1..=3).contains(&opened), "{opened}");
}
