//! The forms that an application may have, and the ways to name it on the command line.

use std::fs;

use integration_tests::{Connections, Scoter, Site, apps_folder, get, through_nginx};

#[through_nginx(gateway, dev)]
fn every_form_of_callable_is_served(connections: Connections) {
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
        let site = Site::serving(&format!("forms:{form}"), connections);
        let reply = site.get("/some/path");
        assert_eq!((reply.status, &*reply.reason), (203, "Formed"), "{form}");
        assert_eq!(reply.header("X-Form"), Some("pep3333"), "{form}");
        let expected = format!("{} GET /some/path", form.to_lowercase());
        assert_eq!(reply.text(), expected, "{form}");
    }
}

#[test]
fn close_of_a_class_instance_is_called_once_per_request() {
    let mut scoter = Scoter::serving("forms:Class").start();
    scoter.connect().packet(&get("/")).reply();
    scoter.connect().packet(&get("/")).reply();
    scoter.stop();
    assert_eq!(scoter.events(), ["class closed", "class closed"]);
}

#[test]
fn response_without_body_has_a_head() {
    let scoter = Scoter::serving("forms:nothing").start();
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!((reply.status, reply.text().as_str()), (203, ""));
    assert_eq!(reply.header("Content-Length"), Some("0"));
}

#[test]
fn body_of_known_size_is_announced() {
    // DESIGN of the replies: nginx then needs not wait for the end of the connection.
    for (form, length) in [("function", Some("14")), ("method", Some("12"))] {
        let scoter = Scoter::serving(format!("forms:{form}")).start();
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.header("Content-Length"), length, "{form}");
    }
}

#[test]
fn application_is_found_by_module_and_by_file() {
    let file = apps_folder().join("forms.py");
    let file = file.to_str().expect("the repository's path is UTF-8");
    for (app, expected) in [
        ("forms".to_owned(), "function GET /"),
        ("forms:generator".to_owned(), "generator GET /"),
        (file.to_owned(), "function GET /"),
        (format!("{file}:generator"), "generator GET /"),
    ] {
        let scoter = Scoter::serving(&app).start();
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.text(), expected, "{app}");
    }
}

#[test]
fn callable_is_application_before_app() {
    let answering = |name: &str| {
        format!(
            "def {name}(environ, start_response):\n    \
                 start_response('200 OK', [])\n    \
                 return [b'{name}']\n"
        )
    };
    for (source, expected) in [
        (answering("app"), "app"),
        (answering("app") + &answering("application"), "application"),
    ] {
        let scoter = Scoter::serving("named");
        fs::write(scoter.folder().join("named.py"), source).expect("the test's own folder");
        let scoter = scoter.start();
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.text(), expected);
    }
}

#[test]
fn factory_is_called_once_and_makes_the_application() {
    let scoter = Scoter::serving("forms:make_application")
        .args(["--factory"])
        .start();
    for _ in 0..3 {
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.text(), "function GET /");
    }
    assert_eq!(scoter.events(), ["made"]);
}
