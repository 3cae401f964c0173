//! Applications of PasteDeploy's files, such as Pyramid's.

use integration_tests::{Scoter, ScoterBuilder, get, with};

const INI: &str = "\
[app:main]
use = call:site_of_test:main
greeting = hello

[app:other]
use = call:site_of_test:main
greeting = other

[pipeline:piped]
pipeline = shout other

[filter:shout]
use = call:site_of_test:shout

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = marked
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = marked
[formatter_marked]
format = as the file says: %(message)s
";

const SITE: &str = "\
import logging
from pyramid.config import Configurator
from pyramid.response import Response

def main(global_config, **settings):
    logging.getLogger('site').info('starts with %s', ' '.join(sorted(global_config)))
    with Configurator(settings=settings) as config:
        config.add_route('home', '/home')
        config.add_view(lambda request: Response(settings['greeting'] + ' ' + request.route_path('home')), route_name='home')
    return config.make_wsgi_app()

def shout(global_config):
    return lambda app: lambda environ, start_response: [part.upper() for part in app(environ, start_response)]
";

fn serving(app: &str) -> ScoterBuilder {
    Scoter::serving(app)
        .with_file("production.ini", INI)
        .with_file("site_of_test.py", SITE)
}

fn text(scoter: &Scoter, path: &str) -> String {
    let packet = with(get(path), [("HTTP_HOST", "example.com")]);
    scoter.connect().packet(&packet).reply().text()
}

#[test]
fn applications_of_a_file_are_served() {
    for (app, expected) in [
        ("production.ini", "hello /home"),
        ("config:production.ini", "hello /home"),
        ("config:production.ini#other", "other /home"),
        ("config:production.ini#piped", "OTHER /HOME"),
    ] {
        for loading in [&[][..], &["--preload"]] {
            let scoter = serving(app).args(loading).start();
            assert_eq!(text(&scoter, "/home"), expected, "{app} {loading:?}");
            scoter.wait_for_log("as the file says: starts with __file__ here");
        }
    }
}

#[test]
fn application_of_a_file_can_be_mounted() {
    let scoter = serving("mounted")
        .args(["--mount", "/site=config:production.ini#other"])
        .start();
    assert_eq!(text(&scoter, "/site/home"), "other /site/home");
}

#[test]
fn what_is_missing_is_named() {
    for (app, expected) in [
        ("config:production.ini#nothing", "it has main, other, piped"),
        ("config:nothing.ini", "nothing.ini"),
    ] {
        let finished = serving(app).run();
        assert_eq!(finished.code, Some(3), "{app}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(expected),
            "{app}: {}",
            finished.stderr
        );
    }
}

#[test]
fn without_plaster_pastedeploy_loads_it_and_without_both_that_is_said() {
    // Found before the installed one, and missing as far as an import can tell.
    const MISSING: &str = "raise ModuleNotFoundError('No module named plaster', name='plaster')\n";
    let scoter = serving("production.ini")
        .with_file("plaster.py", MISSING)
        .start();
    assert_eq!(text(&scoter, "/home"), "hello /home");

    let neither = format!("import sys\nsys.modules['paste.deploy'] = None\n{MISSING}");
    let finished = serving("production.ini")
        .with_file("plaster.py", &neither)
        .run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("PasteDeploy"),
        "{}",
        finished.stderr
    );
}

#[test]
fn file_without_applications_is_refused_as_what_it_is() {
    let finished = Scoter::serving("settings.ini")
        .with_file("settings.ini", "[other]\na = b\n")
        .run();
    assert_ne!(finished.code, Some(0));
    assert!(
        finished.stderr.contains("settings.ini"),
        "{}",
        finished.stderr
    );
}
