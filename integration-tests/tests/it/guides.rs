//! What the guides in docs/ have the reader copy, as far as no other test runs it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use integration_tests::{Scoter, exchange};

use crate::shop::{ask, page, serving};

/// A file of docs/examples.
fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let path = path.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The words of the last instruction `CMD`, without the program.
fn command_of_image(dockerfile: &str) -> Vec<String> {
    let mut commands = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("CMD "));
    let words = commands.next_back().expect("a CMD");
    let words: Vec<String> = serde_json::from_str(words).expect("its exec form");
    words[1..].to_vec()
}

#[test]
fn image_serves_the_network_that_it_names() {
    let command = command_of_image(&example("Dockerfile"));
    let words = command.into_iter().map(|word| match &*word {
        "0.0.0.0:9000" => "0.0.0.0:0".to_owned(),
        _ => word,
    });
    let (app, words): (Vec<_>, Vec<_>) = words.partition(|word| word == "shop.flask_app:app");
    let scoter = serving(&app[0]).unbound().args(words).start();
    let port = scoter.tcp_address().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(exchange(stream, &page("/seen")).status, 200);
}

#[test]
fn django_logs_tracebacks_with_the_settings_of_the_guide() {
    let scoter = serving("django_shop.wsgi").start();
    assert_eq!(ask(&scoter, "/broken").status, 500);
    scoter.wait_for_log("ZeroDivisionError: division by zero");
}

#[test]
fn factory_of_the_guide_is_called() {
    let module = "from flask import Flask\n\n\ndef create_app():\n    app = Flask(__name__)\n    \
                  app.get('/')(lambda: 'made')\n    return app\n";
    let scoter = Scoter::serving("made:create_app").with_file("made.py", module);
    let scoter = scoter.args(["--factory"]).start();
    assert_eq!(ask(&scoter, "/").text(), "made");
}

#[test]
fn hooks_in_place_of_gunicorns_run() {
    let application = "from hooks import *\nfrom hello import application\n";
    let scoter = Scoter::serving("shop_with_hooks")
        .with_file("hooks.py", &example("from-gunicorn/hooks.py"))
        .with_file("shop_with_hooks.py", application);
    let mut scoter = scoter.start();
    let said = scoter.stop().stdout;
    let said: Vec<_> = said.lines().collect();
    assert_eq!(
        said,
        [
            "worker 1 is forked, the application is loaded",
            "worker 1 is about to take its first request",
            "worker 1 has served its last request",
        ]
    );
}
