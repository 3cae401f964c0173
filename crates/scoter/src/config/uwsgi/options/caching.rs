//! Memory that processes share.

use super::family::{Family, family, flag, gone, int, list, nothing, text};

pub(super) const FAMILIES: &[Family] = &[
    family(
        gone(
            "use Redis, Memcached, or a cache of the application's framework; uwsgi_cache for \
whole responses",
        ),
        &[
            list("cache2"),
            int("cache"),
            int("cache-blocksize"),
            text("cache-store"),
            int("cache-store-sync"),
            flag("cache-no-expire"),
            int("cache-expire-freq"),
            flag("cache-report-freed-items"),
            list("cache-udp-server"),
            list("cache-udp-node"),
            text("cache-sync"),
            flag("cache-use-last-modified"),
            list("add-cache-item"),
            list("load-file-in-cache"),
            list("load-file-in-cache-gzip"),
        ],
    ),
    family(
        gone("use Redis or a message broker"),
        &[
            int("queue"),
            int("queue-blocksize"),
            text("queue-store"),
            int("queue-store-sync"),
        ],
    ),
    family(
        gone("use mmap or multiprocessing.shared_memory in the application"),
        &[list("sharedarea").letter('A')],
    ),
    family(
        nothing("uwsgi.lock() has as many locks as are asked for"),
        &[int("locks")],
    ),
    family(
        nothing("locks need no setting"),
        &[text("lock-engine"), text("ftok"), flag("persistent-ipcsem")],
    ),
];
