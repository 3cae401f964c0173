//! The status page, as somebody sees it who has forwarded the control socket with `ssh -L`.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use integration_tests::{
    Browser, ColorScheme, Peer, Scoter, ScoterBuilder, elapse, empty, get, passed_on, until, with,
};
use serde_json::json;

/// A port that leads to a Unix socket, as `ssh -L 9000:/run/scoter.sock.control server` makes one.
struct Forwarding {
    address: SocketAddr,
    is_up: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Forwarding {
    fn to(socket: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let is_up = Arc::new(AtomicBool::new(true));
        let connections = Arc::new(AtomicUsize::new(0));
        let (socket, up, count) = (
            socket.to_owned(),
            Arc::clone(&is_up),
            Arc::clone(&connections),
        );
        // Ends with the process of the tests, as what it forwards to may be gone already.
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                if let (Ok(stream), true) = (stream, up.load(Ordering::Relaxed)) {
                    forward(stream, &socket);
                }
            }
        });
        Self {
            address,
            is_up,
            connections,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Copies both ways until both are over.
fn forward(browser: TcpStream, socket: &Path) {
    let Ok(server) = UnixStream::connect(socket) else {
        return;
    };
    let (mut from_browser, mut to_server) = (
        browser.try_clone().expect("it is open"),
        server.try_clone().expect("it is open"),
    );
    thread::spawn(move || {
        let _ = io::copy(&mut from_browser, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let (mut from_server, mut to_browser) = (server, browser);
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_browser);
        let _ = to_browser.shutdown(std::net::Shutdown::Both);
    });
}

/// A server, a browser, and the way from one to the other.
struct Stage {
    browser: Browser,
    forwarding: Forwarding,
    scoter: Scoter,
}

impl Stage {
    #[track_caller]
    fn of(scoter: ScoterBuilder) -> Option<Self> {
        let browser = Browser::start()?;
        let scoter = scoter.start();
        Some(Self {
            browser,
            forwarding: Forwarding::to(scoter.control().socket()),
            scoter,
        })
    }

    #[track_caller]
    fn open(&self) {
        self.browser.open(&self.forwarding.url());
    }

    /// Begins a request that waits at the gate, and for which the front end says `uri`.
    #[track_caller]
    fn begin(&self, method: &str, uri: &str) -> Peer {
        let vars = [
            ("QUERY_STRING", "a"),
            ("REQUEST_METHOD", method),
            ("REQUEST_URI", uri),
            ("HTTP_X_REQUEST_ID", "8f14e45fceea167a5a36dedd4bea2543"),
        ];
        let mut peer = self.scoter.connect();
        peer.packet(&with(get("/waits"), vars));
        peer
    }

    /// Checks that nothing is cut off at the side, and nobody complains.
    #[track_caller]
    fn assert_fits(&self) {
        let widths = "return [document.documentElement.scrollWidth, innerWidth]";
        let widths = self.browser.evaluate(widths);
        assert_eq!(widths[0], widths[1], "the page, and the window");
        assert_eq!(self.browser.console_errors(), Vec::<String>::new());
    }

    /// Keeps a picture, if `PICTURES` says where, for somebody to look at.
    fn keep_picture(&self, name: &str) {
        if let Some(folder) = env::var_os("PICTURES").map(PathBuf::from) {
            self.browser
                .screenshot_page(&folder.join(name).with_extension("png"));
        }
    }
}

fn serving(threads: &str) -> ScoterBuilder {
    Scoter::serving("streaming").args(["--threads", threads, "--name", "shop"])
}

#[test]
fn page_follows_what_the_server_does() {
    let Some(stage) = Stage::of(serving("2")) else {
        return;
    };
    let Stage {
        browser, scoter, ..
    } = &stage;
    stage.open();
    assert!(browser.text("header").contains("shop"));
    assert!(browser.text("header").contains("running"));
    assert!(browser.text("section:has(#requests)").contains("None."));
    browser.evaluate("window.is_the_first = true");
    let gate = scoter.gate("a");
    let mut peer = stage.begin("GET", "/report?month=11");
    let shown = browser.wait_for("table.requests", "GET /report?month=11");
    assert!(shown.contains("worker 1, thread 0"), "{shown}");
    assert!(browser.text(".figures").contains("1 of 2"));
    assert_eq!(
        browser.evaluate("return document.title"),
        "1/2 busy · running · shop"
    );
    gate.open();
    peer.reply();
    browser.wait_for("section:has(#requests)", "None.");
    assert_eq!(browser.evaluate("return window.is_the_first"), true);
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn uri_of_an_attacker_is_text() {
    const URI: &str = "/</td></table><script>document.title='owned'</script>\
                       <img src=x onerror=\"document.title='owned'\">&lt;'\u{202e}gpj.exe";
    let Some(stage) = Stage::of(serving("2")) else {
        return;
    };
    let Stage {
        browser, scoter, ..
    } = &stage;
    let gate = scoter.gate("a");
    let mut peer = stage.begin("GET", URI);
    stage.open();
    let shown = URI.replace('\u{202e}', "\\u{202e}");
    // Both as it was sent and as the script has put it there.
    for _ in 0..2 {
        assert_eq!(
            browser.wait_for("td.request", "gpj"),
            format!("GET {shown}")
        );
        let count = "return document.querySelectorAll('main script, main img').length";
        assert_eq!(browser.evaluate(count), 0);
        let before = stage.forwarding.connections();
        until("two more refreshes", || {
            (stage.forwarding.connections() >= before + 2).then_some(())
        });
    }
    stage.assert_fits();
    gate.open();
    peer.reply();
}

#[test]
fn address_of_metrics_has_the_page_too() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let scoter = serving("1").args(["--metrics", "127.0.0.1:0"]).start();
    let gate = scoter.gate("a");
    browser.open(&format!("http://{}/", scoter.tcp_address()));
    let mut peer = scoter.begin("a");
    browser.wait_for("td.request", "GET /waits");
    browser.click("footer a");
    browser.wait_for("body", "\"uri\":\"/waits\"");
    gate.open();
    peer.reply();
}

#[test]
fn page_forbids_what_it_does_not_need() {
    let scoter = serving("1").start();
    let reply = scoter.control().get("/");
    assert_eq!(reply.status, 200);
    for (name, expected) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    ] {
        assert_eq!(reply.header(name), Some(expected), "{name}");
    }
    let policy = reply
        .header("Content-Security-Policy")
        .expect("there is one");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn injected_markup_could_not_run() {
    let Some(stage) = Stage::of(serving("1")) else {
        return;
    };
    let Stage { browser, .. } = &stage;
    stage.open();
    browser.evaluate(
        "const script = document.createElement('script');
         script.textContent = \"document.title = 'owned'\";
         document.body.append(script);
         document.body.insertAdjacentHTML('beforeend', '<img src=http://192.0.2.1/>');",
    );
    let errors = until("both are refused", || {
        let errors = browser.console_errors();
        (errors.len() >= 2).then_some(errors)
    });
    for (error, directive) in errors.iter().zip(["script-src", "img-src"]) {
        assert!(error.contains(directive), "{errors:?}");
    }
    assert_ne!(browser.evaluate("return document.title"), "owned");
}

#[test]
fn reader_without_javascript_sees_the_same() {
    let Some(stage) = Stage::of(serving("2")) else {
        return;
    };
    let Stage {
        browser, scoter, ..
    } = &stage;
    let gate = scoter.gate("a");
    let mut peer = stage.begin("GET", "/report");
    stage.open();
    browser.wait_for("td.request", "GET /report");
    browser.disable_javascript();
    stage.open();
    assert_eq!(browser.text("td.request"), "GET /report");
    assert!(browser.text("body").contains("every 5 seconds"));
    gate.open();
    peer.reply();
    browser.wait_for("section:has(#requests)", "None.");
}

#[test]
fn page_says_when_the_server_does_not_answer() {
    let Some(mut stage) = Stage::of(serving("1")) else {
        return;
    };
    stage.open();
    assert_eq!(stage.browser.text("#lost"), "");
    stage.forwarding.set_up(false);
    stage
        .browser
        .wait_for("#lost", "The server does not answer.");
    assert_eq!(stage.browser.evaluate("return document.title"), "no answer");
    stage.keep_picture("no-answer");
    stage.forwarding.set_up(true);
    until("it answers again", || {
        stage.browser.text("#lost").is_empty().then_some(())
    });
    stage.scoter.stop();
    stage
        .browser
        .wait_for("#lost", "The server does not answer.");
    assert!(stage.browser.text("main").contains("shop"));
}

#[test]
fn page_that_nobody_sees_asks_nothing() {
    let Some(stage) = Stage::of(serving("1")) else {
        return;
    };
    let Stage {
        browser,
        forwarding,
        ..
    } = &stage;
    stage.open();
    let refreshes = |hidden: bool| {
        browser.evaluate(&format!(
            "Object.defineProperty(document, 'hidden', {{ get: () => {hidden}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'));"
        ));
    };
    refreshes(true);
    // What was under way ends; then there is nothing to wait for.
    elapse(Duration::from_secs(2));
    let before = forwarding.connections();
    elapse(Duration::from_secs(2));
    assert_eq!(forwarding.connections(), before);
    refreshes(false);
    until("it asks again", || {
        (forwarding.connections() > before).then_some(())
    });
}

#[test]
fn selection_and_scrolling_outlive_a_refresh() {
    let Some(stage) = Stage::of(serving("1")) else {
        return;
    };
    let Stage { browser, .. } = &stage;
    browser.set_window(360, 640);
    stage.open();
    browser.evaluate(
        "getSelection().selectAllChildren(document.querySelector('h1'));
         scrollTo(0, 200)",
    );
    let up = browser.text(".facts");
    until("a refresh", || (browser.text(".facts") != up).then_some(()));
    let state = browser.evaluate("return [getSelection().toString(), scrollY]");
    assert_eq!(state, json!(["shop", 200]));
}

/// What the pictures are of: some requests wait at a gate, all others are short.
const SHOP: &str = "\
import streaming

def application(environ, start_response):
    if environ['PATH_INFO'] == '/waits':
        return streaming.application(environ, start_response)
    products = sum(range(int(environ['QUERY_STRING'])))
    start_response('200 OK', [('Content-Length', '0')])
    return []
";

#[test]
fn every_state_can_be_read_on_a_desk_on_a_phone_and_in_the_dark() {
    let scoter = Scoter::serving("app")
        .with_file("app.py", SHOP)
        .workers("2")
        .args(["--threads", "4", "--backlog", "16", "--name", "shop"]);
    let Some(stage) = Stage::of(scoter) else {
        return;
    };
    let Stage {
        browser, scoter, ..
    } = &stage;
    let gate = scoter.gate("a");
    let look = |state: &str| {
        for (scheme, colour) in [(ColorScheme::Light, "light"), (ColorScheme::Dark, "dark")] {
            browser.prefer(scheme);
            for (device, width, height) in [("desk", 1280, 800), ("phone", 360, 740)] {
                browser.set_window(width, height);
                stage.open();
                stage.assert_fits();
                assert_contrast(browser);
                stage.keep_picture(&format!("{state}-{device}-{colour}"));
            }
        }
    };
    look("idle");

    let mut peers = vec![
        stage.begin("GET", "/report?month=11&format=xlsx"),
        stage.begin("POST", "/checkout"),
        stage.begin("GET", "/search?q=warm+waterproof+shoes&sort=price&page=2"),
    ];
    serve_a_second_of(scoter);
    stage.open();
    for figure in ["Median latency", "Median queue time"] {
        let figure = browser.text(&format!(
            ".figures div:nth-child({})",
            place(browser, figure)
        ));
        assert!(figure.contains("ms p99 "), "{figure}");
    }
    look("busy");

    for _ in 0..5 {
        peers.push(stage.begin("GET", &format!("/search?q={}", "shoes+".repeat(60))));
    }
    let shows = |text: &str| {
        let page = scoter.control().get("/").text();
        page.contains(text).then_some(())
    };
    until("all threads are busy", || {
        shows("<b>8</b> <span>of 8</span>")
    });
    for _ in 0..17 {
        peers.push(stage.begin("GET", "/"));
    }
    stage.open();
    let attention = browser.text(".attention");
    for sentence in [
        "is full: 17 connections wait, and no more can.",
        "All threads are busy, and 17 connections wait.",
    ] {
        assert!(attention.contains(sentence), "{attention}");
    }
    look("overload");
    gate.open_for(peers.len());
    for peer in &mut peers {
        peer.reply();
    }

    scoter.put("app.py", "from shop.catalogue import PRICES\n");
    let failed = scoter.command(["reload"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    stage.open();
    assert!(
        browser
            .text(".attention")
            .contains("The last reload failed")
    );
    let why = browser.text("pre");
    assert!(why.contains("No module named 'shop'"), "{why}");
    look("failed-reload");
}

/// Sends requests that are short, until one second's rate has them all.
fn serve_a_second_of(scoter: &Scoter) {
    until("a rate", || {
        for number in 0..40_u64 {
            let size = if number % 20 == 0 { "400000" } else { "20000" };
            let packet = with(get("/products"), [("QUERY_STRING", size)]);
            let waited = Duration::from_micros(300 + 90 * number);
            scoter.connect().packet(&passed_on(packet, waited)).reply();
        }
        let status = scoter.status();
        let rate = status["requests_per_second"].as_f64().expect("a number");
        let is_known = |what: &str| status[what]["p99_ms"].is_f64();
        (rate > 1.0 && is_known("latency") && is_known("queue")).then_some(())
    });
}

/// The place of a figure among the others, from 1.
fn place(browser: &Browser, figure: &str) -> u64 {
    let script = format!(
        "const terms = [...document.querySelectorAll('.figures dt')];
         return terms.findIndex((term) => term.textContent === '{figure}') + 1;"
    );
    browser.evaluate(&script).as_u64().expect("a number")
}

/// WCAG 2.2, 1.4.3: text has 4.5 times the luminance of what is behind it, or the other way round.
#[track_caller]
fn assert_contrast(browser: &Browser) {
    let script = "
        const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const luminance = ([r, g, b]) => [r, g, b]
            .map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = (element) => {
            for (let at = element; at; at = at.parentElement) {
                const colour = rgb(getComputedStyle(at).backgroundColor);
                if (colour.length === 3) return colour;
            }
        };
        const bad = [];
        for (const element of document.querySelectorAll('body *')) {
            if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
            if (!element.checkVisibility() || element.tagName === 'SCRIPT') continue;
            const pair = [rgb(getComputedStyle(element).color), behind(element)].map(luminance);
            const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
            if (ratio < 4.5) bad.push(`${element.outerHTML}: ${ratio}`);
        }
        return bad;";
    assert_eq!(browser.evaluate(script), json!([]));
}

#[test]
fn pages_of_other_sites_give_no_orders() {
    let scoter = serving("1").start();
    for (method, path) in [("POST", "/stop"), ("POST", "/reload"), ("PUT", "/scale/3")] {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("Origin", "https://evil.example");
        let reply = scoter
            .control()
            .send(request.body(empty()).expect("well-formed"));
        assert_eq!(reply.status, 403, "{path}");
        assert!(reply.text().contains("web page"), "{}", reply.text());
    }
    assert_eq!(scoter.status()["generation"], 1);
    assert_eq!(scoter.status()["workers_wanted"], 1);
}
