//! Files that uWSGI serves itself.

use super::family::{Family, elsewhere, family, flag, gone, int, list, text};
use super::fate::Where::Nginx;
use super::reasons::STATIC;

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(Nginx, STATIC),
        &[list("static-map"), list("static-map2")],
    ),
    family(
        elsewhere(
            Nginx,
            "let nginx serve files: try_files looks for a file first",
        ),
        &[
            list("check-static"),
            list("static-check"),
            flag("check-static-docroot"),
            list("static-index"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "let nginx serve files; expires sets how long a browser may keep them",
        ),
        &[
            list("static-expires"),
            list("static-expires-mtime"),
            list("static-expires-type"),
            list("static-expires-type-mtime"),
            list("static-expires-uri"),
            list("static-expires-uri-mtime"),
            list("static-expires-path-info"),
            list("static-expires-path-info-mtime"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "let nginx serve files; gzip_static on takes a file that is compressed already",
        ),
        &[
            list("static-gzip"),
            flag("static-gzip-all"),
            list("static-gzip-dir"),
            list("static-gzip-prefix"),
            list("static-gzip-ext"),
            list("static-gzip-suffix"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "let nginx serve files, as nginx-conf/site.conf does; it knows their types and ranges, \
and keeps to its root",
        ),
        &[
            list("static-skip-ext"),
            list("static-safe"),
            int("static-cache-paths"),
            text("static-cache-paths-name"),
            list("mimefile"),
            list("mime-file"),
            flag("honour-range"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "write the file before scoter starts (ExecStartPre= in a systemd unit)",
        ),
        &[list("file-write")],
    ),
    family(
        elsewhere(Nginx, "uwsgi_cache keeps responses in nginx"),
        &[text("check-cache").optional()],
    ),
    family(
        gone("use a client of the storage in the application, or mount it as a file system"),
        &[
            list("glusterfs-mount"),
            int("glusterfs-timeout"),
            list("gridfs-mount"),
            flag("gridfs-debug"),
            list("rados-mount"),
            int("rados-timeout"),
            list("webdav-mount"),
            list("webdav-css"),
            list("webdav-javascript"),
            list("webdav-js"),
            text("webdav-class-directory"),
            text("webdav-div"),
            text("webdav-lock-cache"),
            text("webdav-principal-base"),
            list("webdav-add-option"),
            list("webdav-add-prop"),
            list("webdav-add-collection-prop"),
            list("webdav-add-object-prop"),
            list("webdav-add-prop-href"),
            list("webdav-add-collection-prop-href"),
            list("webdav-add-object-prop-href"),
            list("webdav-add-prop-comp"),
            list("webdav-add-collection-prop-comp"),
            list("webdav-add-object-prop-comp"),
            list("webdav-add-rtype-prop"),
            list("webdav-add-rtype-collection-prop"),
            list("webdav-add-rtype-object-prop"),
            list("webdav-skip-prop"),
        ],
    ),
];
