use super::*;

#[test]
fn workers_and_threads() {
    for (lines, workers, threads) in [
        ("processes = 4", "4", "1"),
        ("workers = 4\nthreads = 2", "4", "2"),
        ("processes = 4\nworkers = 8", "8", "1"),
        ("processes = 4 # cores", "4", "1"),
        ("processes", "1", "1"),
        ("processes = lots", "lots", "1"),
        ("processes = 0", "0", "1"),
        ("processes = -2", "-2", "1"),
        ("threads = 0", "1", "1"),
        ("threads = true", "1", "1"),
        ("threads = 5000", "1", "5000"),
        ("cheaper = 2\nprocesses = 16", "2..16", "1"),
        ("cheaper = 0\nprocesses = 16", "16", "1"),
        ("cheaper = 2", "2..1", "1"),
        ("cheaper = 20\nprocesses = 16", "20..16", "1"),
    ] {
        assert_eq!(value(lines, "workers").as_deref(), Some(workers), "{lines}");
        assert_eq!(value(lines, "threads").as_deref(), Some(threads), "{lines}");
    }
}

#[test]
fn the_application_is_imported_before_the_fork_unless_lazy() {
    for (lines, expected) in [
        ("", "false"),
        ("master = true", "true"),
        ("master = false", "false"),
        ("processes = 2", "true"),
        ("master\nlazy-apps = true", "false"),
        ("master\nlazy = 1", "false"),
        ("master\nlazy-apps = false", "true"),
    ] {
        assert_eq!(
            value(lines, "preload").as_deref(),
            Some(expected),
            "{lines}"
        );
    }
}

#[test]
fn two_spellings_that_disagree_are_told() {
    let translation = translated("processes = 4\nworkers = 8");
    let note = notes(&translation)[0];
    assert_eq!(note.text, "workers = 8 counts: uWSGI takes the last one");
    assert_eq!(note.directives.len(), 2);
    assert!(notes(&translated("processes = 4\nworkers = 4")).is_empty());
}
