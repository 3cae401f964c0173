use std::process::Command;

/// The part in Python, `compare`, has tests of its own in tests/compare.
#[test]
fn tests_of_compare_pass() {
    let python = std::env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(&python)
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg("tests/compare")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{python:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Before Python 3.12 that was a success.
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
