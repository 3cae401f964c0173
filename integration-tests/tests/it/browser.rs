//! The browser of the tests sees what a person would, with the settings of that person.

use std::fs;

use integration_tests::{Browser, ColorScheme};

/// A page as a URL of its own.
fn page(html: &str) -> String {
    let bytes = html.bytes().map(|byte| format!("%{byte:02X}"));
    format!("data:text/html;charset=utf-8,{}", bytes.collect::<String>())
}

#[test]
fn scripts_run_and_their_errors_are_noticed() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let script = "onclick = () => document.querySelector('p').textContent = 'clicked'; nonsense()";
    browser.open(&page(&format!(
        "<p>as sent<i hidden>, not shown</i></p><noscript>no scripts</noscript><script>{script}</script>"
    )));
    assert_eq!(browser.text("p"), "as sent");
    browser.click("p");
    assert_eq!(browser.wait_for("p", "click"), "clicked");
    assert!(browser.source().contains("<p>clicked</p>"));
    assert_eq!(browser.evaluate("return 6 * 7"), 42);
    let errors = browser.console_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("nonsense is not defined"), "{errors:?}");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn reader_may_have_turned_scripts_off() {
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.disable_javascript();
    let script = "document.querySelector('p').textContent = 'changed'";
    browser.open(&page(&format!(
        "<p>as sent</p><noscript>no scripts</noscript><script>{script}</script>"
    )));
    assert_eq!(browser.text("body"), "as sent\n\nno scripts");
}

#[test]
fn window_and_colours_are_the_readers() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let style = "@media (prefers-color-scheme: dark) { body { background: #000 } }";
    browser.open(&page(&format!(
        "<meta name=viewport content='width=device-width'><style>{style}</style><p>page</p>"
    )));
    let background = "return getComputedStyle(document.body).backgroundColor";
    browser.prefer(ColorScheme::Dark);
    assert_eq!(browser.evaluate(background), "rgb(0, 0, 0)");
    browser.prefer(ColorScheme::Light);
    assert_eq!(browser.evaluate(background), "rgba(0, 0, 0, 0)");
    for (width, height) in [(360, 640), (1280, 800)] {
        browser.set_window(width, height);
        let seen = browser.evaluate("return [innerWidth, innerHeight]");
        assert_eq!(seen, serde_json::json!([width, height]));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.png");
    browser.screenshot(&path);
    let png = fs::read(path).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // The header's width and height (PNG, 11.2.2).
    assert_eq!(png[16..24], [0, 0, 5, 0, 0, 0, 3, 32]);
}
