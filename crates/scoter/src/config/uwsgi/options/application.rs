//! Which application is served, and what it finds.

use super::family::{Family, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Path, Text};

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(
            &["app"],
            ByCode,
            "APP is module:callable; without a callable scoter tries application, then app",
        ),
        &[text("module").letter('w'), text("wsgi").letter('w')],
    ),
    family(
        mapped(
            &["app"],
            ByCode,
            "APP is path/to/file.py, or path/to/file.py:callable",
        ),
        &[text("wsgi-file"), text("file")],
    ),
    family(
        mapped(
            &["app"],
            ByCode,
            "the callable follows a colon in APP; one with () is called once, which is --factory",
        ),
        &[text("callable")],
    ),
    family(mapped(&["chdir"], Path, ""), &[text("chdir")]),
    family(
        nothing(
            "scoter runs in the environment that it is installed in: start the scoter of its bin \
directory",
        ),
        &[
            text("home").letter('H'),
            text("virtualenv").letter('H'),
            text("venv").letter('H'),
            text("pyhome").letter('H'),
        ],
    ),
    family(
        mapped(&["pythonpath"], ByCode, ""),
        &[list("pythonpath"), list("python-path"), list("pp")],
    ),
    family(mapped(&["env"], Text, ""), &[list("env")]),
    family(
        mapped(
            &["mount"],
            ByCode,
            "the longest prefix wins; /foo does not match /foobar; / is everything else",
        ),
        &[list("mount"), list("worker-mount")],
    ),
    family(
        nothing("with mount, SCRIPT_NAME and PATH_INFO are always set as PEP 3333 says"),
        &[flag("manage-script-name")],
    ),
    family(
        nothing("the server does not start without its application"),
        &[flag("need-app").optional()],
    ),
    family(
        mapped(
            &["app"],
            ByCode,
            "APP is config:production.ini, as PasteDeploy writes it",
        ),
        &[text("ini-paste"), text("ini-paste-logged"), text("paste")],
    ),
    family(
        nothing("scoter configures logging from a PasteDeploy file if it says so"),
        &[flag("paste-logger")],
    ),
    family(
        nothing("all of it runs in one interpreter"),
        &[flag("single-interpreter").letter('i')],
    ),
    family(
        nothing("without a match of mount and without APP the response is 404"),
        &[flag("no-default-app")],
    ),
    family(
        gone("import it at the top of the application: scoter imports nothing else"),
        &[
            list("import"),
            list("pyimport"),
            list("py-import"),
            list("python-import"),
            list("shared-import"),
            list("shared-pyimport"),
            list("shared-py-import"),
            list("shared-python-import"),
            list("spooler-import"),
            list("spooler-pyimport"),
            list("spooler-py-import"),
            list("spooler-python-import"),
        ],
    ),
    family(
        gone("put a module under another name into sys.modules, in the application"),
        &[list("pymodule-alias"), list("post-pymodule-alias")],
    ),
    family(
        gone("sys.argv is that of a Python program; take such settings from the environment"),
        &[text("pyargv")],
    ),
    family(
        mapped(
            &["env"],
            ByCode,
            "the variable PYTHONOPTIMIZE does that; set it in the environment that scoter is \
started in",
        ),
        &[int("optimize").letter('O')],
    ),
    family(
        gone("write the expression into a module, and name that"),
        &[text("eval")],
    ),
    family(
        nothing("it is told apart by a look at the file"),
        &[text("test").letter('J')],
    ),
    family(
        gone(
            "leave it out of the environment that scoter is started in (UnsetEnvironment= in a \
systemd unit)",
        ),
        &[list("unenv")],
    ),
    family(
        mapped(
            &["env-file"],
            ByCode,
            "a file of NAME=VALUE lines in place of a directory of files",
        ),
        &[list("envdir"), list("early-envdir")],
    ),
    family(
        gone("os.environ is what the application finds at its start, and keeps"),
        &[flag("reload-os-env")],
    ),
    family(
        nothing("every request gets an environ of its own, and the application may keep it"),
        &[text("wsgi-env-behaviour"), text("wsgi-env-behavior")],
    ),
    family(
        nothing(
            "the application decides: what it returns is sent by wsgi.file_wrapper only if it asks \
for that",
        ),
        &[flag("wsgi-disable-file-wrapper")],
    ),
    family(
        nothing("scoter keeps to PEP 3333"),
        &[
            flag("wsgi-strict"),
            flag("wsgi-accept-buffer"),
            flag("wsgi-accept-buffers"),
            flag("start_response-nodelay"),
        ],
    ),
    family(
        gone("scoter serves WSGI alone"),
        &[text("web3"), text("pump"), text("wsgi-lite")],
    ),
    family(
        gone("serve it as WSGI: name a module with pecan.deploy.deploy(…) as APP"),
        &[text("pecan")],
    ),
    family(
        nothing("sys.executable is the Python of the environment"),
        &[
            text("py-programname"),
            text("py-program-name"),
            text("py-executable"),
            text("py-sys-executable"),
        ],
    ),
    family(
        gone("start Python with -S, or leave site-packages out of the environment"),
        &[flag("no-site")],
    ),
    family(
        gone("run the environment's python"),
        &[
            text("pyshell").optional(),
            text("pyshell-oneshot").optional(),
            list("python"),
            list("py"),
            list("pyrun"),
            text("python-raw"),
            text("python-worker-override"),
            text("worker-exec"),
            text("worker-exec2"),
        ],
    ),
    family(
        nothing("run scoter stacks: it shows where all threads are"),
        &[text("py-tracebacker")],
    ),
    family(
        gone("use mmap or multiprocessing.shared_memory in the application"),
        &[list("py-sharedarea")],
    ),
    family(
        nothing("workers are made with os.fork(), which runs all hooks of Python"),
        &[
            flag("py-call-osafterfork"),
            flag("py-call-uwsgi-fork-hooks"),
        ],
    ),
    family(
        gone("the environment says what a request is: no variable of it loads code"),
        &[flag("vhost"), flag("vhost-host")],
    ),
    family(nothing("there is no limit"), &[int("max-apps")]),
];
