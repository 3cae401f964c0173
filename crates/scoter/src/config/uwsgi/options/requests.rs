//! Limits and times of requests.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Bytes, Number, Seconds};
use super::fate::Where::Nginx;

pub(super) const FAMILIES: &[Family] = &[
    family(
        nothing("scoter accepts packets of any size, which is 64 KiB"),
        &[int("buffer-size").letter('b')],
    ),
    family(
        mapped(
            &["request-timeout"],
            Seconds,
            "the response is 504, the stacks are logged, and other requests of the worker go on",
        ),
        &[int("harakiri").letter('t')],
    ),
    family(
        nothing("the stacks of a request that takes too long are always logged"),
        &[flag("harakiri-verbose"), int("backtrace-depth")],
    ),
    family(
        mapped(&["request-grace"], Seconds, ""),
        &[int("harakiri-graceful-timeout")],
    ),
    family(
        nothing("a request that takes too long ends with an exception, not with a signal"),
        &[int("harakiri-graceful-signal")],
    ),
    family(
        gone(
            "queue-timeout refuses requests that have waited too long; request-timeout does not \
depend on the queue",
        ),
        &[int("harakiri-queue-threshold")],
    ),
    family(
        nothing("there are no hooks after requests that could be timed"),
        &[
            flag("harakiri-no-arh"),
            flag("no-harakiri-arh"),
            flag("no-harakiri-after-req-hook"),
        ],
    ),
    family(
        mapped(
            &["buffer-body", "body-buffer"],
            ByCode,
            "its value \"all\" has whole bodies received first, on disk beyond body-buffer; bodies \
that the application does not read do no harm without it",
        ),
        &[int("post-buffering")],
    ),
    family(
        nothing("bodies are received at the speed at which they come"),
        &[int("post-buffering-bufsize"), int("body-read-warning")],
    ),
    family(
        mapped(&["max-body"], Bytes, "larger requests are answered 413"),
        &[int("limit-post")],
    ),
    family(
        mapped(
            &["body-timeout", "write-timeout"],
            ByCode,
            "request bodies and responses have an option each",
        ),
        &[int("socket-timeout").letter('z')],
    ),
    family(
        nothing("a client that leaves is no error: it has a line in the access log, if at all"),
        &[
            flag("ignore-sigpipe"),
            flag("ignore-write-errors"),
            flag("disable-write-exception"),
            int("write-errors-tolerance"),
            flag("write-errors-exception-only"),
        ],
    ),
    family(
        mapped(&["max-vars"], Number, ""),
        &[int("max-vars").letter('v')],
    ),
    family(
        elsewhere(
            Nginx,
            "uwsgi_buffer_size in nginx limits the head of a response",
        ),
        &[int("response-headers-limit")],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx adds and removes headers: add_header, uwsgi_hide_header",
        ),
        &[
            list("add-header"),
            list("rem-header"),
            list("del-header"),
            list("collect-header"),
            list("response-header-collect"),
            list("pull-header"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx serves pages of its own for such statuses: error_page, with \
uwsgi_intercept_errors on",
        ),
        &[
            list("error-page-403"),
            list("error-page-404"),
            list("error-page-500"),
        ],
    ),
    family(
        nothing(
            "an exception is answered with 500 and logged with its traceback; scoter dev shows it \
in the browser",
        ),
        &[flag("catch-exceptions")],
    ),
    family(
        gone(
            "a worker goes on after an exception; let the application call os._exit() where it \
cannot",
        ),
        &[
            flag("reload-on-exception"),
            list("reload-on-exception-type"),
            list("reload-on-exception-value"),
            list("reload-on-exception-repr"),
        ],
    ),
    family(
        gone("report exceptions from within the application, such as with Sentry's SDK"),
        &[list("exception-handler")],
    ),
    family(
        elsewhere(Nginx, "keep the state of an upload in the application"),
        &[text("upload-progress")],
    ),
    family(
        nothing("nginx sends bodies with a length, chunked uploads too"),
        &[int("chunked-input-limit"), int("chunked-input-timeout")],
    ),
    family(
        gone("there are no WebSockets: serve them with an ASGI server, in a location of its own"),
        &[
            int("websockets-ping-freq"),
            int("websocket-ping-freq"),
            int("websockets-pong-tolerance"),
            int("websocket-pong-tolerance"),
            int("websockets-max-size"),
            int("websocket-max-size"),
        ],
    ),
    family(
        nothing("files are sent with sendfile where the application asks for that"),
        &[
            flag("disable-sendfile"),
            text("file-serve-mode"),
            text("fileserve-mode"),
        ],
    ),
    family(
        nothing("responses wait for slow clients without a thread of the application"),
        &[int("offload-threads"), int("offload-thread")],
    ),
    family(
        gone("the whole of SCRIPT_NAME is the front end's or mount's"),
        &[flag("ignore-script-name")],
    ),
    family(
        nothing("responses are HTTP; nginx reads both"),
        &[flag("cgi-mode").letter('c')],
    ),
    family(
        nothing("requests of other kinds are refused"),
        &[text("allowed-modifiers"), text("remap-modifier")],
    ),
];
