//! Processes that `multiprocessing` starts anew for an application, and that import what it has imported.

use std::fs;

use integration_tests::{Scoter, ScoterBuilder, apps_folder, get, with};

#[track_caller]
fn assert_that_processes_work(server: ScoterBuilder, what: &str) {
    let scoter = server.start();
    for method in ["spawn", "forkserver", "fork"] {
        let packet = with(get("/"), [("QUERY_STRING", method)]);
        let reply = scoter.connect().packet(&packet).reply();
        assert_eq!(reply.text(), "144", "{what}, {method}: {}", scoter.stderr());
    }
}

#[test]
fn pool_imports_the_application_wherever_it_was_found() {
    for kind in [&[][..], &["--preload"], &["--no-master"]] {
        let by_path = Scoter::serving("spawning").args(kind);
        assert_that_processes_work(by_path, &format!("--pythonpath {kind:?}"));

        let file = apps_folder().join("spawning.py");
        let by_file = Scoter::serving(file).args(kind);
        assert_that_processes_work(by_file, &format!("path/to/file.py {kind:?}"));

        // A module and a helper beside it, found nowhere but in the working directory.
        let here = Scoter::serving("shop.wsgi").args(kind);
        let package = here.folder().join("shop");
        fs::create_dir(&package).expect("the test's own folder");
        fs::write(package.join("__init__.py"), "").expect("just made");
        fs::write(package.join("wsgi.py"), "from helper import application\n").expect("just made");
        fs::copy(
            apps_folder().join("spawning.py"),
            here.folder().join("helper.py"),
        )
        .expect("just made");
        assert_that_processes_work(here, &format!("working directory {kind:?}"));
    }
}

#[test]
fn pool_works_however_the_server_was_started() {
    for kind in [&[][..], &["--no-master"]] {
        let module = Scoter::serving("spawning").args(kind).as_module();
        assert_that_processes_work(module, &format!("python -m scoter {kind:?}"));
    }
}
