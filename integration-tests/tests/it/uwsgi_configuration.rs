//! uWSGI's files and its command line, as what they say and under its name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use integration_tests::{
    Connections, Finished, Scoter, ScoterBuilder, Site, executable, get, through_nginx,
};
use nix::sys::signal::Signal;

/// Says who it is, and what it is told about threads and processes.
const SHOP: &str = "\
import uwsgi

def answering(name):
    def application(environ, start_response):
        told = (name, environ['wsgi.multithread'], environ['wsgi.multiprocess'], uwsgi.opt.get('storefront'))
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [repr(told).encode()]
    return application

application = answering('application')
other = answering('other')
";

const INI: &str = "\
[uwsgi]
socket = scoter.sock
module = shop
master = true
vacuum = true
storefront = open
";

/// A server of `shop.py` that is told nothing but what the test adds.
fn shop() -> ScoterBuilder {
    Scoter::told_nothing().with_file("shop.py", SHOP)
}

fn shop_with(ini: &str) -> ScoterBuilder {
    shop().with_file("uwsgi.ini", ini)
}

#[track_caller]
fn ask(scoter: &Scoter) -> String {
    scoter.connect().packet(&get("/")).reply().text()
}

/// Ends like the start of a server that must not serve.
#[track_caller]
fn assert_refused(scoter: ScoterBuilder, words: &[&str]) {
    let finished = scoter.run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for word in words {
        assert!(
            finished.stderr.contains(word),
            "{word:?} in {}",
            finished.stderr
        );
    }
}

#[track_caller]
fn assert_says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

#[through_nginx]
fn file_of_uwsgi_is_served_from(connections: Connections) {
    let site = Site::of(shop_with(INI).args(["--ini", "uwsgi.ini"]), connections);
    let told = site.client().get("/").text();
    // One process and one thread, as uWSGI has it.
    assert_eq!(told, "('application', False, False, b'open')");
    let scoter = site.scoter();
    let summary = scoter.wait_for_log("uwsgi.ini: ");
    assert!(summary.contains("taken over"), "{summary}");
    let finished = scoter.command(["status"]);
    assert_says(&finished, 0, &["workers: 1 wanted", "requests: 1"]);
}

#[test]
fn file_of_uwsgi_may_take_the_place_of_the_application() {
    let mut scoter = shop_with(INI).args(["uwsgi.ini"]).start();
    assert!(ask(&scoter).starts_with("('application', False"));
    scoter.stop();
}

#[test]
fn options_override_the_file_and_scoter_toml_beside_it_is_not_read() {
    let toml = "app = 'shop:other'\nthreads = 3\n";
    let with = |arguments: &[&str]| {
        shop_with(INI)
            .with_file("scoter.toml", toml)
            .args(arguments)
    };
    for (scoter, expected) in [
        (with(&["--ini", "uwsgi.ini"]), "('application', False"),
        (
            with(&["--ini", "uwsgi.ini", "shop:other"]),
            "('other', False",
        ),
        (
            with(&["--ini", "uwsgi.ini"]).env("SCOTER_THREADS", "2"),
            "('application', True",
        ),
        (
            with(&["--ini", "uwsgi.ini", "--config", "scoter.toml"]),
            "('other', True",
        ),
        (
            with(&["--ini", "uwsgi.ini"]).env("UWSGI_THREADS", "2"),
            "('application', True",
        ),
        // For uWSGI only.
        (
            with(&["shop", "--bind", "unix:scoter.sock", "--uwsgi-module"])
                .env("UWSGI_CALLABLE", "nonsense"),
            "('application', True",
        ),
    ] {
        let mut scoter = scoter.start();
        let told = ask(&scoter);
        assert!(told.starts_with(expected), "{told}, not {expected}");
        scoter.stop();
    }
}

#[test]
fn reload_reads_the_file_again() {
    let mut scoter = shop_with(INI).args(["--ini", "uwsgi.ini"]).start();
    assert!(ask(&scoter).starts_with("('application', False"));
    scoter.put(
        "uwsgi.ini",
        &format!("{INI}callable = other\nthreads = 2\nvaccum = true\n"),
    );
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    assert!(ask(&scoter).starts_with("('other', True"));
    let warning = scoter.wait_for_log("vaccum");
    assert!(warning.contains("uwsgi.ini:9: vaccum = true"), "{warning}");
    assert!(warning.contains("vacuum was probably meant"), "{warning}");
    scoter.put("uwsgi.ini", "[uwsgi]\nini = nowhere.ini\n");
    scoter.signal(Signal::SIGHUP);
    let refusal = scoter.wait_for_log("reload refused");
    assert!(refusal.contains("uwsgi.ini:2"), "{refusal}");
    assert!(ask(&scoter).starts_with("('other', True"));
    scoter.stop();
}

#[test]
fn commands_find_the_server_by_the_same_file() {
    let mut scoter = shop_with(INI).args(["--ini", "uwsgi.ini"]).start();
    let command = |words: &[&str]| {
        let done = Command::new(executable())
            .args(words)
            .args(["--ini", "uwsgi.ini"])
            .current_dir(scoter.folder())
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = command(&["status", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("\"generation\": 1") || said.contains("\"generation\":1"),
        "{said}"
    );
    let (code, said) = command(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = command(&["stop"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn printed_configuration_serves_the_same() {
    let finished = shop_with(&format!("{INI}vaccum = 1\n"))
        .args(["--ini", "uwsgi.ini", "--print-config"])
        .run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let toml = finished.stdout;
    assert!(toml.contains("# uwsgi.ini:2"), "{toml}");
    assert!(toml.contains("#   uwsgi.ini:7: vaccum = 1"), "{toml}");
    let socket = shop().with_file("printed.toml", &toml).args([
        "--config",
        "printed.toml",
        "--bind",
        "unix:scoter.sock",
    ]);
    let mut scoter = socket.start();
    assert_eq!(ask(&scoter), "('application', False, False, b'open')");
    scoter.stop();
}

/// A link to the console script, as the documents make it.
fn called_uwsgi(scoter: ScoterBuilder) -> ScoterBuilder {
    let link = scoter.folder().join("uwsgi");
    let script = fs::canonicalize(executable()).expect("it is installed");
    symlink(script, &link).expect("the folder is the test's own");
    scoter.by_command([link])
}

#[test]
fn name_of_uwsgi_takes_its_command_line_across_reload_and_upgrade() {
    let arguments = [
        "-s",
        "scoter.sock",
        "-w",
        "shop",
        "-p",
        "2",
        "--master",
        "--set",
        "storefront=open",
    ];
    let mut scoter = called_uwsgi(shop()).args(arguments).start();
    let told = "('application', False, True, b'open')";
    assert_eq!(ask(&scoter), told);
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    assert_eq!(ask(&scoter), told);
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=3");
    assert_eq!(ask(&scoter), told);
    scoter.stop();
}

#[test]
fn command_takes_the_command_line_of_uwsgi() {
    let mut scoter = shop_with(INI)
        .args(["uwsgi", "--ini", "uwsgi.ini", "--threads=2"])
        .start();
    assert!(ask(&scoter).starts_with("('application', True, False"));
    scoter.stop();
    let checked = shop_with(INI)
        .args(["check", "uwsgi", "--ini", "uwsgi.ini"])
        .run();
    assert_says(&checked, 0, &["configuration and application are fine"]);
}

#[test]
fn name_of_uwsgi_says_what_it_really_is() {
    for (arguments, code, words) in [
        (&["--version"][..], 0, &["scoter ", "uWSGI 2.0.31"][..]),
        (&["--help"], 0, &["scoter uwsgi", "docs/uwsgi-options.md"]),
        (&["--nonsense"], 2, &["--nonsense"]),
        (&["--proceses", "2"], 2, &["--processes"]),
    ] {
        let finished = called_uwsgi(shop()).args(arguments).run();
        assert_says(&finished, code, words);
    }
}

#[test]
fn what_clients_would_miss_is_refused() {
    for (ini, words) in [
        (
            "[uwsgi]\nhttp-socket = :8000\nmodule = shop\n",
            &["uwsgi.ini:2: http-socket = :8000", "uwsgi_pass"][..],
        ),
        (
            "[uwsgi]\nsocket = scoter.sock\nmodule = shop\ngevent = 100\n",
            &["uwsgi.ini:4: gevent = 100", "threads"],
        ),
        (
            "[uwsgi]\nsocket = scoter.sock\nmodule = shop\nroute = ^/admin break:403\n",
            &["uwsgi.ini:4: route = ^/admin break:403", "nginx"],
        ),
        (
            "[uwsgi]\nsocket = scoter.sock\npsgi = shop.pl\n",
            &["uwsgi.ini:3: psgi = shop.pl"],
        ),
    ] {
        assert_refused(shop_with(ini).args(["--ini", "uwsgi.ini"]), words);
        assert_refused(shop_with(ini).args(["check", "--ini", "uwsgi.ini"]), words);
        let printed = shop_with(ini)
            .args(["--ini", "uwsgi.ini", "--print-config"])
            .run();
        assert_eq!(printed.code, Some(0), "{printed:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let in_folder = |name: &str| shop().args(["--ini", name]);
    assert_refused(in_folder("missing.ini"), &["missing.ini"]);
    let folder = in_folder("folder.ini");
    fs::create_dir(folder.folder().join("folder.ini")).unwrap();
    assert_refused(folder, &["folder.ini"]);
    let circle = "[uwsgi]\nini = uwsgi.ini\n";
    assert_refused(
        shop_with(circle).args(["--ini", "uwsgi.ini"]),
        &["includes itself"],
    );
    let latin = in_folder("latin.ini");
    fs::write(
        latin.folder().join("latin.ini"),
        b"[uwsgi]\nchdir = /caf\xe9\n",
    )
    .unwrap();
    assert_refused(latin, &["latin.ini:2", "UTF-8"]);
    let large = in_folder("large.ini");
    let line = "; a comment that is repeated until there are ten megabytes of it\n";
    fs::write(large.folder().join("large.ini"), line.repeat(10 << 20 >> 6)).unwrap();
    assert_refused(large, &["large.ini"]);
}

fn migrate(scoter: ScoterBuilder, arguments: &[&str]) -> Finished {
    scoter.args(["migrate"]).args(arguments).run()
}

#[test]
fn migrated_file_is_served() {
    let ini = format!("{INI}harakiri = 30\nvaccum = 1\n");
    let migrated = migrate(shop_with(&ini), &["uwsgi.ini"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let toml = migrated.stdout;
    for line in [
        "# uwsgi.ini:2: socket = scoter.sock\n",
        "# uwsgi.ini:7: harakiri = 30\nrequest-timeout = \"30s\"\n",
        "\nworkers = 1\n",
        "\nthreads = 1\n",
        "\nbind = [\"unix:scoter.sock\"]\n",
    ] {
        assert!(toml.contains(line), "{line:?} in {toml}");
    }
    for words in [
        "uwsgi.ini: ",
        "uwsgi.ini:8: vaccum = 1",
        "vacuum was probably meant",
        "scoter check: configuration and application are fine",
    ] {
        assert!(
            migrated.stderr.contains(words),
            "{words:?} in {}",
            migrated.stderr
        );
    }
    let mut scoter = shop().with_file("scoter.toml", &toml).start();
    assert!(
        ask(&scoter).starts_with("('application', False, False"),
        "{toml}"
    );
    scoter.stop();
}

#[test]
fn migration_of_a_command_line_and_of_variables() {
    let arguments = ["--", "--socket", "scoter.sock", "-w", "shop:other"];
    let migrated = migrate(shop(), &arguments);
    assert_says(
        &migrated,
        0,
        &[
            "app = \"shop:other\"",
            "# --module shop:other",
            "# --socket scoter.sock",
        ],
    );
    let migrated = migrate(
        shop()
            .env("UWSGI_SOCKET", "scoter.sock")
            .env("UWSGI_THREADS", "3")
            .with_file(
                "variables",
                "# of the image\nUWSGI_MODULE=shop:other\nOTHER=1\n",
            ),
        &["--env-file", "variables"],
    );
    assert_says(
        &migrated,
        0,
        &["app = \"shop:other\"", "# UWSGI_THREADS=3\n", "threads = 3"],
    );
    assert_says(&migrate(shop(), &[]), 2, &["nothing to migrate"]);
    assert_says(&migrate(shop(), &["missing.ini"]), 2, &["missing.ini"]);
}

#[test]
fn lost_behaviour_is_an_exit_code_and_a_heading() {
    let ini = format!("{INI}gevent = 100\n");
    let migrated = migrate(shop_with(&ini), &["uwsgi.ini"]);
    assert_says(&migrated, 1, &["\nLost:\n  uwsgi.ini:7: gevent = 100\n"]);
    assert!(migrated.stdout.contains("# uwsgi.ini:7: gevent = 100\n"));
}

#[test]
fn application_is_not_loaded_where_it_is_not() {
    let ini = "[uwsgi]\nsocket = /run/shop.sock\nchdir = /nonexistent/shop\nmodule = shop\n";
    let migrated = migrate(shop_with(ini), &["uwsgi.ini"]);
    assert_says(&migrated, 0, &["/nonexistent/shop is not on this machine"]);
    let ini = format!("{INI}home = /nonexistent/venv\n");
    let migrated = migrate(shop_with(&ini), &["uwsgi.ini"]);
    assert_says(
        &migrated,
        0,
        &["its Python environment is /nonexistent/venv"],
    );
    let broken = shop_with(INI).with_file("shop.py", "1 / 0\n");
    let migrated = migrate(broken, &["uwsgi.ini"]);
    assert_says(
        &migrated,
        0,
        &["scoter check: error: ", "ZeroDivisionError"],
    );
    let broken = shop_with(INI).with_file("shop.py", "1 / 0\n");
    let migrated = migrate(broken, &["uwsgi.ini", "--configuration-only"]);
    assert_says(&migrated, 0, &["the application was not loaded"]);
}

#[test]
fn output_replaces_nothing_unless_told_to() {
    let target = tempfile::tempdir().unwrap();
    let directory = target.path().join("new");
    let run = |arguments: &[&str]| {
        let to = ["uwsgi.ini", "--output", directory.to_str().unwrap()];
        migrate(shop_with(INI), &[&to, arguments].concat())
    };
    let toml = directory.join("scoter.toml");
    let finished = run(&[]);
    assert_says(&finished, 0, &[&format!("written: {}\n", toml.display())]);
    assert_eq!(finished.stdout, "");
    assert!(
        fs::read_to_string(&toml)
            .unwrap()
            .contains("app = \"shop:application\"")
    );
    fs::write(&toml, "mine").unwrap();
    assert_says(&run(&[]), 1, &["scoter.toml exists", "--force"]);
    assert_eq!(fs::read_to_string(&toml).unwrap(), "mine");
    assert_says(&run(&["--force"]), 0, &["written"]);
    assert!(
        fs::read_to_string(&toml)
            .unwrap()
            .contains("app = \"shop:application\"")
    );
    let names = |path: &Path| fs::read_dir(path).unwrap().count();
    assert_eq!(names(&directory), 1);
}

#[test]
fn output_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let directory = file.path().join("below");
    let arguments = ["uwsgi.ini", "--output", directory.to_str().unwrap()];
    let finished = migrate(shop_with(INI), &arguments);
    assert_says(&finished, 1, &["cannot write", directory.to_str().unwrap()]);
    let finished = migrate(shop_with(INI), &["uwsgi.ini", "--output", "/proc"]);
    assert_says(&finished, 1, &["cannot write /proc/scoter.toml"]);
}
