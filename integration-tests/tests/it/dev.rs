//! `scoter dev`: HTTP without nginx, reloads on save, and reasons in the browser and in the terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use hyper::Request;
use integration_tests::{
    Browser, Client, DEADLINE, Process, Reply, Scoter, ScoterBuilder, empty, python, until,
};
use nix::sys::signal::Signal;

const HELLO: &str = "
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
";

/// A `scoter dev` in a folder with this `app.py`, which has to find that itself.
fn of(source: &str) -> ScoterBuilder {
    Scoter::told_nothing()
        .with_file("app.py", source)
        .in_development()
}

fn client(scoter: &Scoter) -> Client {
    Client::tcp(scoter.http_address())
}

/// Asks as a browser that opens a page.
fn navigate(scoter: &Scoter, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(path)
        .header("Host", "localhost:8000")
        .header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("Sec-Fetch-Mode", "navigate");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client(scoter).send(request.body(empty()).expect("well-formed"))
}

#[track_caller]
fn wait_for_answer(scoter: &Scoter, path: &str, expected: &str) {
    until(&format!("the answer {expected:?}"), || {
        (client(scoter).get(path).text() == expected).then_some(())
    });
}

#[test]
fn saved_file_is_served_and_a_broken_one_changes_nothing() {
    let scoter = of(HELLO).start();
    assert_eq!(client(&scoter).get("/").text(), "hello");
    scoter.put("app.py", &HELLO.replace("hello", "saved"));
    wait_for_answer(&scoter, "/", "saved");
    let line = scoter.wait_for_log("reloaded in");
    assert!(line.ends_with("app.py has changed"), "{line}");

    scoter.put("app.py", "def app(:\n");
    scoter.wait_for_log("what was saved last does not work");
    scoter.wait_for_log("SyntaxError");
    assert_eq!(client(&scoter).get("/").text(), "saved");
    let page = navigate(&scoter, "/", &[]);
    assert_eq!(page.status, 500);
    assert!(page.text().contains("SyntaxError"), "{}", page.text());
    let text = page.text();
    let (_, cookie) = text.split_once("document.cookie='").expect("a button");
    let cookie = cookie.split(';').next().unwrap_or_default();
    let old = navigate(&scoter, "/", &[("Cookie", cookie)]);
    assert_eq!((old.status, &*old.text()), (200, "saved"));

    scoter.put("app.py", &HELLO.replace("hello", "mended"));
    wait_for_answer(&scoter, "/", "mended");
    assert_eq!(navigate(&scoter, "/", &[]).text(), "mended");
}

#[test]
fn application_that_never_worked_is_explained_and_mended() {
    for (name, broken, reason) in [
        ("syntax", "def app(:\n", "SyntaxError"),
        ("exception", "raise ValueError('<b>no</b>')\n", "ValueError"),
        (
            "missing module",
            "import missing_part\nfrom missing_part import app\n",
            "missing_part",
        ),
        ("exit", "raise SystemExit(1)\n", "SystemExit"),
        ("nothing to serve", "x = 1\n", "has no callable"),
    ] {
        let scoter = of(broken).start();
        scoter.wait_for_log("the application does not work");
        let plain = client(&scoter).get("/");
        assert_eq!(plain.status, 500, "{name}");
        let page = navigate(&scoter, "/", &[]);
        assert!(page.text().contains(reason), "{name}: {}", page.text());
        assert!(!page.text().contains("<b>no"), "{name}: {}", page.text());
        if name == "syntax" {
            scoter.put("app.py", "raise KeyError('another')\n");
            until("the page says what is wrong now", || {
                let page = navigate(&scoter, "/", &[]).text();
                page.contains("KeyError").then_some(())
            });
        }
        match name {
            "missing module" => scoter.put("missing_part.py", HELLO),
            _ => scoter.put("app.py", HELLO),
        }
        wait_for_answer(&scoter, "/", "hello");
    }
}

#[test]
fn exception_is_shown_to_the_developer_only() {
    let source = "def app(environ, start_response):\n    raise ValueError('<script>')\n";
    let scoter = of(source).start();
    let page = navigate(&scoter, "/path", &[]);
    assert_eq!(
        (page.status, page.header("Content-Type")),
        (500, Some("text/html; charset=utf-8"))
    );
    for text in [
        "ValueError: &lt;script&gt;",
        "GET /path",
        "app.py:2",
        "<mark>",
    ] {
        assert!(page.text().contains(text), "{text} in {}", page.text());
    }
    let request = Request::get("/").header("Host", "127.0.0.1");
    let plain = client(&scoter).send(request.body(empty()).expect("well-formed"));
    assert!(
        plain.text().contains("Traceback (most recent call last)"),
        "{}",
        plain.text()
    );
    let head = Request::head("/").header("Host", "127.0.0.1");
    let head = client(&scoter).send(head.body(empty()).expect("well-formed"));
    assert_eq!((head.status, &*head.text()), (500, ""));
    // Another site's name that leads here.
    let other = client(&scoter).get("/");
    assert_eq!(
        (other.status, &*other.text()),
        (500, "Internal Server Error\n")
    );
    assert_eq!(
        scoter.wait_for_log_lines(4, "ValueError: <script>").len(),
        4
    );
}

#[test]
fn modules_imported_later_templates_and_patterns_are_watched() {
    let source = "
def app(environ, start_response):
    import later
    start_response('200 OK', [])
    return [later.text, open('page.html', 'rb').read() if LOADED else b'']
LOADED = True
";
    let scoter = of(source)
        .with_file("later.py", "text = b'1'\n")
        .with_file("page.html", "a")
        .args(["--watch", "*.html"])
        .start();
    assert_eq!(client(&scoter).get("/").text(), "1a");
    scoter.put("later.py", "text = b'2'\n");
    wait_for_answer(&scoter, "/", "2a");
    scoter.put("page.html", "b");
    scoter.wait_for_log("page.html has changed");
    wait_for_answer(&scoter, "/", "2b");
}

#[test]
fn changes_are_found_by_looking_where_nobody_reports_them() {
    let scoter = of(HELLO).args(["--poll"]).start();
    scoter.put("app.py", &HELLO.replace("hello", "found"));
    wait_for_answer(&scoter, "/", "found");
}

#[test]
fn first_line_is_the_url_and_requests_are_short_lines() {
    let scoter = of(HELLO).start();
    let address = scoter.http_address();
    let first = scoter
        .stderr()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    assert!(
        first.starts_with(&format!("http://{address} serves app ")),
        "{first}"
    );
    client(&scoter).get("/a?b=c");
    let lines = scoter.wait_for_access_log(1);
    let words: Vec<_> = lines[0].split(' ').collect();
    assert_eq!(
        (words[1], words[2], words[3], words[5]),
        ("GET", "/a?b=c", "200", "ms"),
        "{lines:?}"
    );
}

#[test]
fn address_that_cannot_be_had_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = taken.local_addr().expect("bound").port().to_string();
    for (address, expected) in [
        (
            &*port,
            "hint: end it, or use another port: --http 127.0.0.1:",
        ),
        ("0.0.0.0:8000", "listens on loopback addresses only"),
        ("example.com", "docker run --network host"),
    ] {
        let finished = Scoter::told_nothing()
            .args(["dev", "app:app", "--http", address])
            .run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        let text = finished
            .stderr
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn nothing_is_left_however_it_ends() {
    let private = |scoter: &Scoter| {
        let name = format!("scoter-dev-{}", scoter.pid());
        scoter.folder().join(name)
    };
    let start = || {
        let builder = of(HELLO);
        let folder = builder.folder().to_owned();
        builder.env("TMPDIR", folder).start()
    };
    let mut scoter = start();
    assert!(private(&scoter).is_dir());
    // A browser keeps its connection.
    let mut kept = TcpStream::connect(scoter.http_address()).expect("it listens");
    kept.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it reads");
    kept.read_exact(&mut [0; 15]).expect("it answers");
    scoter.signal(Signal::SIGINT);
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(
        finished.stderr.trim_end().ends_with("ready"),
        "quiet: {}",
        finished.stderr
    );
    scoter.wait_until_all_are_gone();
    assert!(!private(&scoter).exists());

    let mut scoter = start();
    scoter.signal(Signal::SIGKILL);
    scoter.wait();
    scoter.wait_until_all_are_gone();
}

/// A closing terminal sends HUP: a server that nobody sees any more would keep the port.
#[test]
fn closed_terminal_ends_it() {
    let mut scoter = of(HELLO).start();
    scoter.signal(Signal::SIGHUP);
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    scoter.wait_until_all_are_gone();
}

fn connect(scoter: &Scoter) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(scoter.http_address()).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    BufReader::new(stream)
}

fn head_of(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).expect("in time"), 0, "{head}");
    }
    head
}

#[test]
fn body_that_is_announced_with_expect_is_asked_for_and_connections_are_kept() {
    let scoter = Scoter::serving("bodies").in_development().start();
    let mut stream = connect(&scoter);
    for _ in 0..2 {
        stream
            .get_mut()
            .write_all(
                b"POST /everything HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
            )
            .expect("it reads");
        assert!(head_of(&mut stream).starts_with("HTTP/1.1 100 "));
        stream.get_mut().write_all(b"body").expect("it reads");
        assert!(head_of(&mut stream).starts_with("HTTP/1.1 200 "));
        let mut body = [0; 4];
        stream.read_exact(&mut body).expect("in time");
        assert_eq!(&body, b"body");
    }
}

#[test]
fn slow_client_delays_nobody() {
    let scoter = Scoter::serving("bodies")
        .in_development()
        .args(["--threads", "1"])
        .start();
    let mut slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = connect(&scoter);
            let head = b"POST /everything HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
            stream.get_mut().write_all(head).expect("it reads");
            stream
        })
        .collect();
    assert_eq!(client(&scoter).post("/everything", "ok").text(), "ok");
    for stream in &mut slow {
        stream.get_mut().write_all(b"56789").expect("it reads");
        assert!(head_of(stream).starts_with("HTTP/1.1 200 "));
        let mut body = [0; 10];
        stream.read_exact(&mut body).expect("in time");
        assert_eq!(&body, b"0123456789");
    }
}

const FLASK: &str = "
from flask import Flask, render_template

app = Flask(__name__)

@app.route('/')
def index():
    return render_template('index.html', name='Flask')
";

/// The first minutes with Flask: see it, edit it, break it, see why, mend it.
#[test]
fn first_minutes_of_a_flask_developer() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let scoter = of(FLASK);
    std::fs::create_dir(scoter.folder().join("templates")).expect("the test's own folder");
    std::fs::create_dir(scoter.folder().join("static")).expect("the test's own folder");
    let scoter = scoter
        .with_file(
            "templates/index.html",
            "<link rel=stylesheet href=/static/a.css><h1>Hello {{ name }}</h1>",
        )
        .with_file("static/a.css", "h1 { color: rgb(1, 2, 3) }")
        .start();
    let url = format!("http://{}/", scoter.http_address());
    browser.open(&url);
    assert_eq!(browser.text("h1"), "Hello Flask");
    let colour = browser.evaluate("return getComputedStyle(document.querySelector('h1')).color");
    assert_eq!(colour, "rgb(1, 2, 3)");

    scoter.put("app.py", &FLASK.replace("'Flask'", "'edited'"));
    scoter.wait_for_log_lines(1, "reloaded in");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "Hello edited");
    scoter.put("templates/index.html", "<h1>Bye {{ name }}</h1>");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "Bye edited");

    scoter.put(
        "app.py",
        &FLASK.replace("return render", "return 1 / 0, render"),
    );
    scoter.wait_for_log_lines(2, "reloaded in");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "ZeroDivisionError: division by zero");
    assert!(
        browser.text("mark").contains("return 1 / 0, render"),
        "{}",
        browser.source()
    );

    scoter.put("app.py", "from flask import Flask\napp = Flask(\n");
    scoter.wait_for_log("what was saved last does not work");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "What was saved last does not work");
    assert!(browser.text("pre").contains("SyntaxError"));
    browser.click("button");
    browser.wait_for("h1", "ZeroDivisionError");

    scoter.put("app.py", FLASK);
    scoter.wait_for_log_lines(3, "reloaded in");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "Bye Flask");
}

/// The same with Django, from `startproject` on.
#[test]
fn first_minutes_of_a_django_developer() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let scoter = Scoter::told_nothing();
    let project = scoter.folder().join("project");
    start_project(scoter.folder(), &project);
    let scoter = scoter.inside("project").in_development().start();
    assert!(
        scoter.stderr().contains("serves shop.wsgi "),
        "{}",
        scoter.stderr()
    );
    let url = format!("http://{}/", scoter.http_address());
    browser.open(&url);
    assert!(
        browser
            .text("body")
            .contains("The install worked successfully"),
        "{}",
        browser.source()
    );
    // Static files of an application, as runserver serves them.
    let css = client(&scoter).get("/static/admin/css/base.css");
    assert_eq!(
        (css.status, css.header("Content-Type")),
        (200, Some("text/css"))
    );

    let urls = |view: &str| {
        format!(
            "from django.http import HttpResponse\nfrom django.urls import path\n\
             def index(request):\n    return {view}\nurlpatterns = [path('', index)]\n"
        )
    };
    scoter.put(
        "project/shop/urls.py",
        &urls("HttpResponse('<h1>mine</h1>')"),
    );
    scoter.wait_for_log_lines(1, "reloaded in");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "mine");

    scoter.put("project/shop/urls.py", &urls("1 / 0"));
    scoter.wait_for_log_lines(2, "reloaded in");
    browser.open(&url);
    assert!(
        browser.text("h1").contains("ZeroDivisionError"),
        "{}",
        browser.source()
    );

    // Django imports this when the first request comes.
    scoter.put("project/shop/settings.py", "import nothing_of_this_name\n");
    scoter.wait_for_log("what was saved last does not work");
    browser.open(&url);
    assert_eq!(browser.text("h1"), "What was saved last does not work");
    assert!(
        browser.text("pre").contains("nothing_of_this_name"),
        "{}",
        browser.source()
    );
}

fn start_project(folder: &Path, project: &Path) {
    std::fs::create_dir(project).expect("the test's own folder");
    let mut command = Command::new(python());
    command
        .args(["-m", "django", "startproject", "shop"])
        .arg(project);
    let hint = "there has to be a Python next to scoter";
    let finished = Process::spawn("django", &mut command, folder, hint).wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}
