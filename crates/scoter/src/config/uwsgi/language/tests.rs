//! Tables of what uWSGI 2.0.31 shows for the same input (`--show-config`), and of what is refused.

use super::fixture::{Machine, shown};

/// Compares what is in `uwsgi.ini` with what uWSGI shows for it.
#[track_caller]
fn check(name: &str, ini: &str, expected: &[&str]) {
    check_with(name, ini, &[], expected);
}

#[track_caller]
fn check_with(name: &str, ini: &str, environment: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(
        Machine::with_ini(ini).shown(environment),
        expected,
        "{name}"
    );
}

/// The error for what is in `uwsgi.ini`.
fn refusal(ini: impl AsRef<[u8]>) -> String {
    let reading = Machine::with_ini(ini).read(&["--ini", "uwsgi.ini"], &[]);
    reading.map_or_else(|error| error.to_string(), |reading| format!("{reading:?}"))
}

#[test]
fn lines_of_an_ini_file() {
    for (name, ini, expected) in [
        (
            "only whole lines are comments, quotes and backslashes are text",
            "; a\n# b\n  # c\n[uwsgi]\n;x=1\n#y=2\nhash = a # b\nthreads = 4 ; four\nq = \"a b\"\n\
             cont = a \\\n b\n",
            &[
                "hash = a # b",
                "threads = 4 ; four",
                "q = \"a b\"",
                "cont = a \\",
                "b = ",
            ][..],
        ),
        (
            "Windows line ends",
            "[uwsgi]\r\nmaster = true\r\n\r\nvacuum\r\n; c\r\nsocket = :1 \t\r\n",
            &["master = true", "vacuum = ", "socket = :1"],
        ),
        (
            "no end of the last line",
            "[uwsgi]\na=1\nb = 2",
            &["a = 1", "b = 2"],
        ),
        ("no section", "a = 1\n[app:main]\nb = 2\n", &[]),
        ("nothing", "", &[]),
        (
            "other sections are skipped, the section may be repeated",
            "[other]\na=1\n[uwsgi]\nb=1\n[uwsgi2]\nc=1\n [ uwsgi ]\nd=1\n[uwsgi]\ne=1\n[UWSGI]\nf=1\n\
             [uwsgi] ; no\ng=1\n",
            &["b = 1", "e = 1"],
        ),
        (
            "the last byte of a section's line is cut off",
            "[\nz=1\n[uwsgi\na=1\n[uwsgix\nb=1\n[uwsgi]x\nc=1\n",
            &["b = 1"],
        ),
        (
            "the first equals sign counts, and names may be empty",
            "[uwsgi]\na = b = c\n = v\nk=\n  spaced key  =  v  \n\ttab\t=\tv\t\n===\n",
            &[
                "a = b = c",
                " = v",
                "k = ",
                "spaced key = v",
                "tab = v",
                " = ==",
            ],
        ),
        ("tabs within", "[uwsgi]\na=b\tc\n", &["a = b\tc"]),
        (
            "other blanks are text",
            "[uwsgi]\n\x0ca=b\x0b\n",
            &["\x0ca = b\x0b"],
        ),
    ] {
        check(name, ini, expected);
    }
    let long = "a".repeat(100_000);
    check(
        "a long line",
        &format!("[uwsgi]\nx={long}\n"),
        &[&format!("x = {long}")],
    );
    let machine = Machine::with_ini(b"[uwsgi]\n; caf\xe9\na=1\n");
    assert_eq!(machine.shown(&[]), ["a = 1"], "comments need not be UTF-8");
}

#[test]
fn magic_variables() {
    let ini = "[uwsgi]\na = %p %d %s %n %e %c\nb = %P %D %S %N %E %C\nc = %0|%1|%2|%9\nd = %v %V %u %U %g \
               %G %k %h\ne = %t %T %i %I %o %O\nf = %x|%X\n";
    check(
        "of a file in a directory",
        ini,
        &[
            "a = /srv/shop/uwsgi.ini /srv/shop/ uwsgi.ini uwsgi ini shop",
            "b = /srv/shop/uwsgi.ini /srv/shop/ uwsgi.ini uwsgi ini shop",
            "c = srv|shop||",
            "d = /srv/shop 2.0.31 33 www-data 34 web 4 web1",
            "e = 1700000000 1700000000123456 7 7 uwsgi.ini uwsgi.ini",
            "f = |",
        ],
    );
    for (name, ini, expected) in [
        (
            "unknown ones vanish, with the end of the line too",
            "[uwsgi]\na = 100%\nb = 2\nc = %Y-%%m %z\nd = %%d %%%%d %(x) %%(x)\n\
             log-format = %(addr) \"%(uri)\"\ne=%",
            &[
                "a = 100b = 2",
                "c = -%m",
                "d = %d %%d %(x) %(x)",
                "log-format = %(addr) \"%(uri)\"",
                "e = ",
            ][..],
        ),
        (
            "in comments too",
            "[uwsgi]\n; all of 100%\nb = 2\n# 50% off\nc=1\n",
            &["c = 1"],
        ),
    ] {
        check(name, ini, expected);
    }
}

#[test]
fn placeholders() {
    for (name, ini, expected) in [
        (
            "one at the beginning of a replacement is not replaced",
            "[uwsgi]\na = %(b)\nb = %(c)\nc = 1\nxa = x%(b)\nf = %(a)%(b)\nxxa = x%(xxb)\nxxb = x%(c)\n",
            &[
                "a = %(c)",
                "b = 1",
                "c = 1",
                "xa = x1",
                "f = %(c)1",
                "xxa = xx1",
                "xxb = x1",
            ][..],
        ),
        (
            "arithmetic goes from left to right",
            "[uwsgi]\nn=3\nbig=9223372036854775807\na=%(n + 1)\nb=%(n * n + 2)\nc=%(n n)\nd=%(n ++)\n\
             e=%(n -- + 1)\nf=%(n / 0)\ng=%(n - 10)\nh=%(big + 1)\ni=%(missing + 2)\nj=%(+)\nk=%(++)\n\
             l=%( n )\nm=%(n + 1 2)\no=%(n  +   4)\np=%(-1 + 2)\nq=%(%k * 2)\nr=%(n + )\n",
            &[
                "n = 3",
                "big = 9223372036854775807",
                "a = 4",
                "b = 11",
                "c = 33",
                "d = 4",
                "e = 3",
                "f = 0",
                "g = -7",
                "h = -9223372036854775808",
                "i = 2",
                "j = %(+)",
                "k = %(++)",
                "l = 3",
                "m = 42",
                "o = 7",
                "p = 2",
                "q = 8",
                "r = 3",
            ],
        ),
        (
            "an empty value is a value, and the first of a name counts",
            "[uwsgi]\nbare\nempty =\na = [%(bare)%(empty)%(nowhere)]\nn = 1\nn = 2\nb = %(n)\n",
            &[
                "bare = ",
                "empty = ",
                "a = [%(nowhere)]",
                "n = 1",
                "n = 2",
                "b = 1",
            ],
        ),
        (
            "not in what acts at once",
            "[uwsgi]\nn=50\nlisten=%(n)\nset-ph = s=%(n)\nt=%(s)\n",
            &[
                "n = 50",
                "listen = %(n)",
                "set-ph = s=%(n)",
                "s = %(n)",
                "t = %(n)",
            ],
        ),
    ] {
        check(name, ini, expected);
    }
    check_with(
        "parentheses",
        "[uwsgi]\nb=1\na=%(b\nc=%((b))\nd=%()\ne=%(b)(x)\nf=$(b)\ng=%%(b)\nh=%%%(b)\ni=(%(b))\n\
         j=$(A$(B))\nk=%(a(b)c)\nl=$$(HOME)\nm=%($(N))\n",
        &[("HOME", "/h"), ("N", "b")],
        &[
            "b = 1",
            "a = %(b",
            "c = %((b))",
            "d = %()",
            "e = 1(x)",
            "f = $(b)",
            "g = 1",
            "h = %1",
            "i = (1)",
            "j = $(A$(B))",
            "k = %(a(b)c)",
            "l = $/h",
            "m = 1",
        ],
    );
    check_with(
        "variables",
        "[uwsgi]\na=$(HOME)/x\nb=$(NOPE)\nc=$(E)|\nd=x$(R)\nr=1\ne=$(HO ME)\n",
        &[("HOME", "/h"), ("E", ""), ("R", "%(r)")],
        &[
            "a = /h/x",
            "b = $(NOPE)",
            "c = |",
            "d = x1",
            "r = 1",
            "e = $(HO ME)",
        ],
    );
}

#[test]
fn contents_of_files() {
    let machine =
        Machine::with_ini("[uwsgi]\na=@(v)|\nb=@(empty)|\nc=@(crlf)|\nd=@(two)|\ne=x$(F)\n");
    let machine = machine
        .file("v", "val")
        .file("empty", "")
        .file("crlf", "x\r\n");
    let machine = machine.file("two", "x\n\n");
    let expected = ["a = val|", "b = |", "c = x\r|", "d = x\n|", "e = xval"];
    assert_eq!(machine.shown(&[("F", "@(v)")]), expected);
}

#[test]
fn blocks() {
    let environment = &[("A", "1"), ("E", ""), ("HOME", "/root")];
    for (name, ini, expected) in [
        (
            "variables",
            "[uwsgi]\nif-env=A=1\na=%(_)\nendif\nif-not-env=A=2\nb=%(_)\nendif\nif-not-env=N\nc=%(_)\n\
             endif\nif-not-env=A\nd=1\nendif\nif-env=E\ne=%(_)|\nendif\nif-env=A=\nf=1\nendif\nifenv=A\n\
             g=1\nend\n",
            &[
                "if-env = A=1",
                "a = 1",
                "endif = ",
                "if-not-env = A=2",
                "b = 1",
                "endif = ",
                "if-not-env = N",
                "c = %(_)",
                "endif = ",
                "if-not-env = A",
                "endif = ",
                "if-env = E",
                "e = |",
                "endif = ",
                "if-env = A=",
                "endif = ",
                "ifenv = A",
                "g = 1",
                "end = ",
            ][..],
        ),
        (
            "options",
            "[uwsgi]\nx=1\nbare\nif-opt=x\na=%(_)\nendif\nif-opt=x=2\nb=1\nendif\nif-opt=bare\nc=1\n\
             endif\nif-not-opt=x=2\nd=%(_)\nendif\nif-not-opt=y\ne=%(_)\nendif\n",
            &[
                "x = 1",
                "bare = ",
                "if-opt = x",
                "a = 1",
                "endif = ",
                "if-opt = x=2",
                "endif = ",
                "if-opt = bare",
                "c = 1",
                "endif = ",
                "if-not-opt = x=2",
                "d = 1",
                "endif = ",
                "if-not-opt = y",
                "e = %(_)",
                "endif = ",
            ],
        ),
        (
            "a start is no reload",
            "[uwsgi]\nif-reload=\na=1\nendif=\nif-not-reload\nb=%(_)\nendif\nif-env=UWSGI_RELOADS\n\
             c=%(_)\nendif\n",
            &[
                "if-reload = ",
                "endif = ",
                "if-not-reload = ",
                "b = %(_)",
                "endif = ",
                "if-env = UWSGI_RELOADS",
                "c = 0",
                "endif = ",
            ],
        ),
        (
            "host name",
            "[uwsgi]\nif-hostname=web1\na=%(_)\nendif\nif-not-hostname=web1\nb=1\nendif\n",
            &[
                "if-hostname = web1",
                "a = web1",
                "endif = ",
                "if-not-hostname = web1",
                "endif = ",
            ],
        ),
        (
            "loops repeat each option by itself",
            "[uwsgi]\nfor=a b  c\nx=%(_)\ny=%(_)%(_)\nendfor\nfor=\nz=1\nendfor=\nfor-times=2x\nt=%(_)\n\
             endfor\nfor-times=-1\nu=%(_)\nendfor\nfor=one\nk\nendfor\n",
            &[
                "for = a b  c",
                "x = a",
                "x = b",
                "x = c",
                "y = aa",
                "y = bb",
                "y = cc",
                "endfor = ",
                "for = ",
                "endfor = ",
                "for-times = 2x",
                "t = 1",
                "t = 2",
                "endfor = ",
                "for-times = -1",
                "endfor = ",
                "for = one",
                "k = ",
                "endfor = ",
            ],
        ),
        (
            "a block in one that is skipped ends with it",
            "[uwsgi]\nif-env=NOPE\nif-env=HOME\na=1\nendif\nb=1\nendif\nc=1\n",
            &["if-env = NOPE", "endif = ", "b = 1", "endif = ", "c = 1"],
        ),
        (
            "without end it extends to the last option",
            "[uwsgi]\nif-env=NOPE\na=1\n[uwsgi]\nb=1\n",
            &["if-env = NOPE"],
        ),
        (
            "there is no else",
            "[uwsgi]\nif-env=HOME\na=1\nelse=\na=2\nendif\n",
            &["if-env = HOME", "a = 1", "else = ", "a = 2", "endif = "],
        ),
    ] {
        check_with(name, ini, environment, expected);
    }
}

#[test]
fn precedence_is_the_order() {
    let machine = Machine::with_ini("[uwsgi]\nprocesses=4\n");
    let environment = [
        ("UWSGI_PROCESSES", "2"),
        ("UWSGI_MASTER", ""),
        ("UWSGI_SOME_THING", "x_Y"),
        ("UWSGI_JAIL_PID", "1"),
        ("UWSGI_VASSALS_DIR", "/x"),
        ("UWSGI_RELOADS", "1"),
        ("PATH", "/bin"),
    ];
    let arguments = ["--processes", "3", "--ini", "uwsgi.ini", "--processes", "5"];
    let reading = machine.read(&arguments, &environment).unwrap();
    assert_eq!(
        shown(&reading),
        [
            "processes = 2",
            "master = ",
            "some-thing = x_Y",
            "processes = 3",
            "ini = uwsgi.ini",
            "processes = 4",
            "processes = 5",
        ]
    );
    let places: Vec<_> = reading
        .directives
        .iter()
        .map(|directive| directive.place.to_string())
        .collect();
    assert_eq!(
        places[2..6],
        [
            "UWSGI_SOME_THING",
            "the command line",
            "the command line",
            "uwsgi.ini:2"
        ]
    );
    assert_eq!(reading.files, [std::path::Path::new("/srv/shop/uwsgi.ini")]);
}

#[test]
fn what_is_refused_is_named_with_its_place() {
    for (ini, expected) in [
        (
            "[uwsgi]\nif-env=UWSGI_RELOADS\nfor=a\nendif\nendif\n",
            "uwsgi.ini:3: for is inside the if-env of uwsgi.ini:2, and uWSGI has no blocks in blocks\nhint: \
             end the other one first",
        ),
        (
            "[uwsgi]\n\nini = more.ini\n",
            "uwsgi.ini:3: cannot read more.ini: entity not found\nhint: the path is relative to the \
             directory in which the server is started: write %d before it for that of this file",
        ),
        (
            "[uwsgi]\nini = uwsgi.ini\n",
            "uwsgi.ini:2: the file includes itself: uwsgi.ini includes uwsgi.ini",
        ),
        (
            "[uwsgi]\ninherit = uwsgi.ini\n",
            "uwsgi.ini:2: the file includes itself: uwsgi.ini inherits uwsgi.ini",
        ),
        (
            "[uwsgi]\na = @(exec://id)\n",
            "uwsgi.ini:2: exec://id is not read: only files are\nhint: write the content into a file, or \
             the value into a variable and $(NAME) here",
        ),
        (
            "[uwsgi]\na = x%(a)\n",
            "uwsgi.ini:2: placeholders are replaced without end\nhint: does one refer to itself, as in a = \
             x%(a)?",
        ),
        (
            "[uwsgi]\nset-ph = processes=1\n",
            "uwsgi.ini:2: processes is an option and cannot be a placeholder\nhint: use set = \
             processes=VALUE",
        ),
        (
            "[uwsgi]\nset = processes\n",
            "uwsgi.ini:2: expected set = name=value",
        ),
        (
            "[uwsgi]\nproceses=2\nstrict=true\n",
            "uwsgi.ini:2: uWSGI has no option proceses, and strict forbids what it does not know\nhint: did \
             you mean processes?",
        ),
        (
            "[uwsgi]\ninclude = a.ini:prod\n",
            "uwsgi.ini:2: a.ini:prod does not end in .ini, .yaml, .yml, .json or .js\nhint: a section is \
             read by the option of the form: ini = a.ini:prod",
        ),
        (
            "[uwsgi]\nfor-times = 1000000000\na = 1\nendfor =\n",
            "uwsgi.ini:3: there are more than 20000 options\nhint: do loops or included files repeat each \
             other?",
        ),
    ] {
        assert_eq!(refusal(ini), expected, "{ini}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (ini, expected) in [
        (
            &b"[uwsgi]\na = caf\xe9\n"[..],
            "uwsgi.ini:2: byte 0xe9 is not UTF-8\nhint: save the file as UTF-8",
        ),
        (b"[uwsgi]\na = b\0c\n", "uwsgi.ini:2: there is a NUL byte"),
        (
            b"\xff\xfe[\0u\0",
            "uwsgi.ini:1: the file is UTF-16\nhint: save it as UTF-8",
        ),
    ] {
        assert_eq!(refusal(ini), expected);
    }
}
