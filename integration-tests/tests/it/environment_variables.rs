//! Variables for the application: `--env`, the table `env` of scoter.toml, `--env-file`.

use integration_tests::{Scoter, get};

/// What the application has in the variable GREETING.
fn greeting(scoter: &Scoter) -> Option<String> {
    let reply = scoter.connect().packet(&get("/")).reply();
    reply.json()["greeting"].as_str().map(Into::into)
}

#[test]
fn later_sources_override_earlier_ones() {
    for (args, toml, expected) in [
        (&[][..], "", "inherited"),
        (&["--env", "GREETING=option"], "", "option"),
        (&[], "env.GREETING = \"table\"\n", "table"),
        (
            &["--env", "GREETING=option"],
            "env.GREETING = \"table\"\n",
            "option",
        ),
        (&["--env-file", "first.env"], "", "first"),
        (
            &["--env-file", "first.env", "--env-file", "second.env"],
            "",
            "second one",
        ),
        (
            &["--env-file", "first.env", "--env", "GREETING=a=b"],
            "",
            "a=b",
        ),
        (
            &["--env-file", "first.env", "--env", "OTHER=1"],
            "",
            "first",
        ),
    ] {
        for loading in [&[][..], &["--preload"]] {
            let scoter = Scoter::serving("mounted")
                .env("GREETING", "inherited")
                .with_file("first.env", "# of the test\nGREETING=first\n")
                .with_file("second.env", "GREETING=\"second one\"\n")
                .with_file("scoter.toml", toml)
                .args(args)
                .args(loading)
                .start();
            assert_eq!(
                greeting(&scoter).as_deref(),
                Some(expected),
                "{args:?} {toml} {loading:?}"
            );
        }
    }
}

#[test]
fn reload_reads_the_file_again_and_keeps_the_old_one_if_it_is_wrong() {
    let scoter = Scoter::serving("mounted")
        .with_file("a.env", "GREETING=old\n")
        .args(["--env-file", "a.env"])
        .start();
    assert_eq!(greeting(&scoter).as_deref(), Some("old"));
    scoter.put("a.env", "GREETING=new\n");
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    assert_eq!(greeting(&scoter).as_deref(), Some("new"));
    scoter.put("a.env", "GREETING=newer\nexport A=1\n");
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(1), "{}", reloaded.stderr);
    assert!(reloaded.stderr.contains("a.env:2"), "{}", reloaded.stderr);
    assert_eq!(greeting(&scoter).as_deref(), Some("new"));
}

#[test]
fn mistakes_are_named_and_values_are_not() {
    let file = "A=hush\nB = hush\n";
    for (args, text) in [
        (&["--env-file", "a.env"][..], "a.env:2"),
        (&["--env-file", "nothing.env"], "nothing.env"),
        (&["--env", "SCOTER_WORKERS=2"], "SCOTER_WORKERS"),
        (&["--env", "hush"], "NAME=VALUE"),
        (&["--env", "=hush"], "--env"),
    ] {
        let scoter = Scoter::serving("mounted").with_file("a.env", file);
        let finished = scoter.args(args).run();
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(text),
            "{args:?}: {}",
            finished.stderr
        );
        let in_file = args[0] == "--env-file";
        assert!(
            !(in_file && finished.stderr.contains("hush")),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn python_itself_sees_the_variables() {
    let scoter = Scoter::serving("app.py")
        .with_file(
            "app.py",
            "import json, sys, time\n\
             def application(environ, start_response):\n    \
                 start_response('200 OK', [('Content-Type', 'application/json')])\n    \
                 return [json.dumps({'greeting': f'{sys.flags.optimize} {time.tzname[0]}'}).encode()]\n",
        )
        .args(["--env", "PYTHONOPTIMIZE=1", "--env", "TZ=XYZ5"])
        .start();
    assert_eq!(greeting(&scoter).as_deref(), Some("1 XYZ"));
}
