use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Returns a command of `uwsgi-tools`, such as `uwsgi-dump`: built by cargo as the tests are, at the first call.
///
/// # Panics
///
/// When it cannot be built, or there is none of this name.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    static TOOLS: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let tools = TOOLS.get_or_init(build);
    let Some(path) = tools.get(name) else {
        panic!("uwsgi-tools has no {name}, but {:?}", tools.keys());
    };
    path.clone()
}

/// Builds all of them: cargo says where they are, whatever the target directory and the profile.
fn build() -> BTreeMap<String, PathBuf> {
    // Set by cargo where it runs the tests itself.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--bins", "--package", "uwsgi-tools"])
        .args(["--message-format", "json", "--manifest-path", manifest])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the tests of a checkout are run by cargo");
    assert!(output.status.success(), "uwsgi-tools cannot be built");
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().map(serde_json::from_str::<Value>);
    messages
        .filter_map(|message| {
            let message = message.ok()?;
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect()
}
