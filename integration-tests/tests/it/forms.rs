//! The forms that an application may have, and the ways to name it on the command line.

use std::fs;

use integration_tests::{Scoter, Site, apps_folder, get};

#[test]
fn every_form_of_callable_is_served() {
    for form in [
        "function",
        "Class",
        "instance",
        "method",
        "generator",
        "lazy",
        "writer",
        "only_writes",
        "returns_bytes",
        "keywords",
    ] {
        let site = Site::serving(&format!("forms:{form}"));
        let reply = site.get("/some/path");
        assert_eq!((reply.status, &*reply.reason), (203, "Formed"), "{form}");
        assert_eq!(reply.header("X-Form"), Some("pep3333"), "{form}");
        let expected = format!("{} GET /some/path", form.to_lowercase());
        assert_eq!(reply.text(), expected, "{form}");
    }
}
