//! The Python that starts the server, its options and its path: whatever a script made of them is what the application
//! finds, in every generation.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::reload::{ask, version};
use integration_tests::{Package, Scoter, ScoterBuilder, apps_folder, get, python};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Says what it was started with.
const APPLICATION: &str = "import json, os, sys\n\
                           def application(environ, start_response):\n    \
                               start_response('200 OK', [('Content-Type', 'application/json')])\n    \
                               seen = {\n        \
                                   'path': sys.path,\n        \
                                   'flags': [sys.flags.optimize, sys.flags.no_site, sys.flags.no_user_site],\n        \
                                   'options': sorted(sys._xoptions),\n        \
                                   'warnings': sys.warnoptions,\n        \
                                   'unbuffered': sys.stdout.write_through,\n        \
                                   'hash seed': os.environ.get('PYTHONHASHSEED'),\n    \
                               }\n    \
                               return [json.dumps(seen).encode()]\n";

#[track_caller]
fn seen(scoter: &Scoter) -> Value {
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn is_on_path(seen: &Value, folder: &Path) -> bool {
    let path = seen["path"].as_array().expect("a list");
    path.contains(&json!(folder))
}

/// A server whose package only the script knows of.
fn started_by_script(options: &[&str], script: &str, put: impl Fn(&Path)) -> ScoterBuilder {
    let scoter = Scoter::told_nothing();
    let folder = scoter.folder().to_owned();
    fs::create_dir(folder.join("eggs")).expect("the test's own folder");
    Package::installed().copied_to(&folder.join("eggs"));
    put(&folder);
    let words = [python().into_os_string()].into_iter();
    let words = words.chain(options.iter().map(OsString::from));
    let words = words.chain([folder.join(script).into_os_string()]);
    scoter
        .by_command(words)
        .args(["--bind", "unix:scoter.sock", "--workers", "1", "only_there"])
}

#[track_caller]
fn assert_survives_reload_and_upgrade(scoter: &Scoter, expected: &Value) {
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    assert_eq!(seen(scoter), *expected);
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=3");
    assert_eq!(seen(scoter), *expected);
    // The master of now is another program.
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=4");
    assert_eq!(seen(scoter), *expected);
}

#[test]
fn path_of_a_script_reaches_the_application() {
    // As zc.buildout writes them.
    let options = ["-S", "-O", "-W", "ignore::UserWarning", "-Xdev", "-u"];
    let scoter = started_by_script(&options, "bin/serve", |folder| {
        for name in ["bin", "parts"] {
            fs::create_dir(folder.join(name)).expect("the test's own folder");
        }
        let script = format!(
            "import sys\n\
             sys.path[0:0] = [{:?}, {:?}]\n\
             import scoter.__main__\n\
             if __name__ == '__main__':\n    \
                 sys.exit(scoter.__main__.main())\n",
            folder.join("eggs"),
            folder.join("parts"),
        );
        fs::write(folder.join("bin/serve"), script).expect("just made");
        fs::write(folder.join("parts/only_there.py"), APPLICATION).expect("just made");
    });
    let scoter = scoter.env("PYTHONHASHSEED", "7").start();
    let found = seen(&scoter);
    for name in ["eggs", "parts"] {
        assert!(is_on_path(&found, &scoter.folder().join(name)), "{found}");
    }
    assert_eq!(found["flags"], json!([1, 1, 0]), "{found}");
    assert_eq!(found["options"], json!(["dev"]), "{found}");
    let warnings = found["warnings"].as_array().expect("a list");
    assert!(warnings.contains(&json!("ignore::UserWarning")), "{found}");
    assert_eq!(found["unbuffered"], true, "{found}");
    assert_eq!(found["hash seed"], "7", "{found}");
    assert_survives_reload_and_upgrade(&scoter, &found);
}

#[test]
fn application_in_a_zip_archive_is_served() {
    let scoter = started_by_script(&["-Es"], "app.pyz", |folder| {
        let sources = folder.join("sources");
        fs::create_dir(&sources).expect("the test's own folder");
        // What shiv and pex do once they have unpacked themselves: machine code cannot be loaded from an archive.
        let main = format!(
            "import sys\n\
             sys.path.insert(1, {:?})\n\
             from scoter.__main__ import main\n\
             sys.exit(main())\n",
            folder.join("eggs"),
        );
        fs::write(sources.join("__main__.py"), main).expect("just made");
        fs::write(sources.join("only_there.py"), APPLICATION).expect("just made");
        let status = Command::new(python())
            .args(["-m", "zipapp", "sources", "-o", "app.pyz"])
            .current_dir(folder)
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    });
    let scoter = scoter.start();
    let found = seen(&scoter);
    assert!(
        is_on_path(&found, &scoter.folder().join("app.pyz")),
        "{found}"
    );
    assert_eq!(found["flags"], json!([0, 0, 1]), "{found}");
    assert_survives_reload_and_upgrade(&scoter, &found);
}

#[test]
fn folder_of_the_command_stays_off_the_path() {
    let scoter = Scoter::serving("only_there")
        .with_file("only_there.py", APPLICATION)
        .start();
    let found = seen(&scoter);
    let python = python();
    let folder = python.parent().expect("a file");
    assert!(!is_on_path(&found, folder), "{found}");
}

#[test]
fn launcher_that_python_does_not_start_is_not_said_to_have_called_exit() {
    let scoter = started_by_script(&["-S"], "serve", |folder| {
        let script = format!(
            "import sys\n\
             sys.path.insert(0, {:?})\n\
             from scoter.__main__ import main\n\
             import os, scoter\n\
             launcher = os.path.join(os.path.dirname(scoter.__file__), 'launcher.py')\n\
             open(launcher, 'w').write('import no_such_module\\n')\n\
             sys.exit(main())\n",
            folder.join("eggs"),
        );
        fs::write(folder.join("serve"), script).expect("just made");
    });
    let finished = scoter.run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let log = &finished.stderr;
    for word in ["No module named 'no_such_module'", "exit code 1"] {
        assert!(log.contains(word), "{log}");
    }
    assert!(!log.contains("os._exit"), "{log}");
}

#[test]
fn no_command_finds_modules_beside_the_script() {
    const SCRIPT: &str = "import sys\nfrom scoter.__main__ import main\nsys.exit(main())\n";
    for words in [&[][..], &["--no-master"], &["check"]] {
        let scoter = Scoter::told_nothing();
        let folder = scoter.folder().join("bin");
        fs::create_dir(&folder).expect("the test's own folder");
        fs::write(folder.join("scoter"), SCRIPT).expect("just made");
        let application = "from hello import application\n";
        fs::write(folder.join("only_there.py"), application).expect("just made");
        let script = folder.join("scoter");
        let finished = scoter
            .by_command([python().as_os_str(), script.as_os_str()])
            .args(words)
            .args(["--bind", "unix:scoter.sock", "--pythonpath"])
            .args([apps_folder().as_os_str(), "only_there".as_ref()])
            .run();
        assert_eq!(finished.code, Some(3), "{words:?}: {}", finished.stderr);
        let expected = "there is no module \"only_there\"";
        assert!(
            finished.stderr.contains(expected),
            "{words:?}: {finished:?}"
        );
    }
}

#[test]
fn relative_pythonpath_leads_into_no_application() {
    const SITE: &str = "import sys\nsys.stderr.write('not for this Python\\n')\n";
    for path in [":", "lib:", "."] {
        let scoter = Scoter::serving("changing");
        for folder in ["src", "src/lib"] {
            fs::create_dir(scoter.folder().join(folder)).expect("the test's own folder");
        }
        let scoter = scoter
            .with_file("src/changing.py", &version(1))
            .with_file("src/sitecustomize.py", SITE)
            .with_file("src/lib/sitecustomize.py", SITE)
            .args(["--chdir", "src"])
            .env("PYTHONPATH", path)
            .start();
        assert_eq!(ask(&scoter), "1", "{path:?}");
        assert!(
            scoter.log_lines("not for this Python").is_empty(),
            "{path:?}"
        );
    }
}
