//! A real browser: headless Chromium, as chromedriver(1) runs it.

mod chromedriver;
mod webdriver;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::chromedriver::Chromedriver;
use self::webdriver::Session;
use crate::wait::within_deadline;

/// A browser with one window and a profile of its own, which sees this machine only.
///
/// It ends with the test. Everything panics when the browser has gone, or does not know what a test asks for.
#[derive(Debug)]
pub struct Browser {
    // Ends first, so that the browser is told to close.
    session: Session,
    _driver: Chromedriver,
    _folder: TempDir,
}

/// What `prefers-color-scheme` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorScheme {
    /// Dark letters on a light page.
    Light,
    /// Light letters on a dark page.
    Dark,
}

impl Browser {
    /// Starts one; skips the test where Debian's `chromium` and `chromium-driver` are not installed.
    ///
    /// # Panics
    ///
    /// When they are installed and do not start.
    #[track_caller]
    pub fn start() -> Option<Self> {
        if !chromedriver::is_installed() {
            crate::skip("no chromium or no chromedriver: apt-get install chromium chromium-driver");
            return None;
        }
        let folder = TempDir::with_prefix("browser-").expect("a temporary folder can be made");
        let driver = Chromedriver::start(folder.path());
        let session = Session::start(driver.address(), capabilities(folder.path()));
        let browser = Self {
            session,
            _driver: driver,
            _folder: folder,
        };
        browser.set_window(1280, 800);
        Some(browser)
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.session.post("url", json!({ "url": url }));
    }

    /// Returns the page's HTML as it is now, which scripts may have changed.
    #[track_caller]
    pub fn source(&self) -> String {
        string(&self.session.get("source"))
    }

    /// Returns the text of the first element that `css` selects, as a reader sees it: nothing that is hidden.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        self.find_text(css)
            .unwrap_or_else(|| panic!("nothing is {css:?} in {}", self.source()))
    }

    /// Waits until the first element that `css` selects has `text` in its text, and returns all of that.
    #[track_caller]
    pub fn wait_for(&self, css: &str, text: &str) -> String {
        let mut seen = None;
        let found = within_deadline(|| {
            seen = self.find_text(css);
            seen.clone().filter(|seen| seen.contains(text))
        });
        found.unwrap_or_else(|| panic!("waited in vain for {text:?} in {css:?}: {seen:?}"))
    }

    /// Returns what the body of a function in JavaScript returns, run in the page.
    #[track_caller]
    pub fn evaluate(&self, script: &str) -> Value {
        self.run(script, json!([]))
    }

    /// Clicks on the first element that `css` selects.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let element = self.element(css);
        let element = element.unwrap_or_else(|| panic!("nothing is {css:?} to click on"));
        self.session
            .post(&format!("element/{element}/click"), json!({}));
    }

    /// Makes what pages see of the window so many CSS pixels wide and high; a narrow one is a phone's.
    #[track_caller]
    pub fn set_window(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": if is_phone(width) { 2 } else { 1 },
            "mobile": is_phone(width),
        });
        self.session
            .devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Sets what the reader prefers, from now on.
    #[track_caller]
    pub fn prefer(&self, scheme: ColorScheme) {
        let value = match scheme {
            ColorScheme::Light => "light",
            ColorScheme::Dark => "dark",
        };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        let media = json!({ "features": [feature] });
        self.session.devtools("Emulation.setEmulatedMedia", media);
    }

    /// Turns scripts off in the pages that are opened from now on.
    #[track_caller]
    pub fn disable_javascript(&self) {
        let params = json!({ "value": true });
        self.session
            .devtools("Emulation.setScriptExecutionDisabled", params);
    }

    /// Writes what is in the window to a PNG file.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        self.write_screenshot(path, json!({ "format": "png" }));
    }

    /// The same for the whole page, beyond the window's lower edge too.
    #[track_caller]
    pub fn screenshot_page(&self, path: &Path) {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        self.write_screenshot(path, params);
    }

    /// Returns what the browser has reported as errors since the last call: exceptions in scripts, requests without
    /// an answer, what a Content-Security-Policy has refused.
    #[track_caller]
    pub fn console_errors(&self) -> Vec<String> {
        let entries = self.session.post("se/log", json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list").iter();
        let errors = entries.filter(|entry| entry["level"] == "SEVERE");
        errors.map(|entry| string(&entry["message"])).collect()
    }

    fn write_screenshot(&self, path: &Path, params: Value) {
        let taken = self.session.devtools("Page.captureScreenshot", params);
        let png = STANDARD
            .decode(string(&taken["data"]))
            .expect("the DevTools protocol sends base64");
        fs::write(path, png).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn element(&self, css: &str) -> Option<String> {
        let how = json!({ "using": "css selector", "value": css });
        let found = self.session.post("elements", how);
        let first = found.as_array().expect("a list").first()?;
        Some(string(&first[webdriver::ELEMENT]))
    }

    fn find_text(&self, css: &str) -> Option<String> {
        // Not WebDriver's own command: to it no <noscript> is ever shown. innerText of what is hidden is all its text.
        let script = "const found = document.querySelector(arguments[0]);
                      return found && (found.checkVisibility() ? found.innerText : '')";
        let text = self.run(script, json!([css]));
        text.as_str().map(str::to_owned)
    }

    fn run(&self, script: &str, args: Value) -> Value {
        self.session
            .post("execute/sync", json!({ "script": script, "args": args }))
    }
}

/// What the session is started with.
fn capabilities(folder: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let args: Vec<_> = FLAGS
        .iter()
        .map(|flag| (*flag).to_owned())
        .chain([profile])
        .collect();
    json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": { "args": args },
        "goog:loggingPrefs": { "browser": "ALL" },
        // What does not answer fails the test here, not with its runner's limit.
        "timeouts": { "pageLoad": 20_000, "script": 20_000 },
    } } })
}

fn is_phone(width: u32) -> bool {
    width < 600
}

fn string(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no string: {value}"))
        .to_owned()
}

const FLAGS: &[&str] = &[
    "--headless",
    // It works neither as root nor in most containers. Tests open no pages but their own.
    "--no-sandbox",
    // Containers often have 64 MiB of it.
    "--disable-dev-shm-usage",
    // Nothing may be asked of other machines.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];
