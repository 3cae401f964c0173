//! Engines for many requests per thread.

use super::family::{Family, family, flag, gone, int, nothing, text};

pub(super) const FAMILIES: &[Family] = &[
    family(
        gone(
            "use threads: responses, slow clients and idle connections occupy none; for many long \
waits use an ASGI server",
        ),
        &[
            text("gevent"),
            flag("gevent-monkey-patch"),
            flag("gevent-early-monkey-patch"),
            flag("gevent-wait-for-hub"),
            int("async"),
            text("asyncio"),
            text("loop"),
            flag("greenlet"),
            flag("ugreen"),
            int("ugreen-stacksize"),
            flag("stackless"),
            text("tornado"),
            flag("fiber"),
            text("coroae"),
            text("goroutines"),
            flag("rbthreads"),
            flag("rb-threads"),
            flag("rbthread"),
            flag("rb-thread"),
            int("dumbloop-modifier1"),
            text("dumbloop-code"),
            text("dumbloop-function"),
        ],
    ),
    family(
        nothing("it lists what uWSGI can do"),
        &[
            flag("loop-list"),
            flag("loops-list"),
            flag("cheaper-algo-list"),
            flag("cheaper-algos-list"),
            flag("cheaper-list"),
            flag("clock-list"),
            flag("clocks-list"),
        ],
    ),
    family(
        nothing("descriptors are as many as the system allows: LimitNOFILE= in the unit"),
        &[int("max-fd")],
    ),
];
