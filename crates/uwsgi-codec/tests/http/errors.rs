//! What errors say to programs: labels, which do not change, and statuses.

use http::header::HOST;
use uwsgi_codec::http::{MapError, ReplyError};
use uwsgi_codec::{ContentLengthError, EncodeError};

#[test]
fn each_reason_not_to_map_has_its_label_and_status() {
    let name = HOST;
    let syntax = ContentLengthError::Syntax {
        text: "+5".to_owned(),
    };
    for (error, kind, status) in [
        (MapError::Connect, "connect", 405),
        (MapError::Target, "target", 400),
        (MapError::PathEncoding { offset: 1 }, "path_encoding", 400),
        (MapError::PathNul, "path_nul", 400),
        (MapError::PathAboveRoot, "path_above_root", 400),
        (MapError::OutsideScriptName, "outside_script_name", 404),
        (MapError::Host, "host", 400),
        (MapError::HostConflict, "host_conflict", 400),
        (
            MapError::RepeatedHeader { name: name.clone() },
            "repeated_header",
            400,
        ),
        (MapError::HeaderName { name }, "header_name", 400),
        (
            MapError::ContentLength(syntax),
            "content_length_syntax",
            400,
        ),
        (
            MapError::BodyLength { header: 1, body: 2 },
            "body_length",
            400,
        ),
        (
            MapError::TransferEncodingWithLength,
            "transfer_encoding_with_length",
            400,
        ),
        (MapError::LengthRequired, "length_required", 411),
        (
            MapError::Encode(EncodeError::BlockTooLarge { len: 65_536 }),
            "block_too_large",
            431,
        ),
        (MapError::MissingVar { key: "K" }, "missing_var", 400),
        (
            MapError::Var {
                key: "K".to_owned(),
            },
            "var",
            400,
        ),
        (MapError::TooManyHeaders, "too_many_headers", 431),
    ] {
        assert_eq!((error.kind(), error.http_status()), (kind, status));
    }
}

#[test]
fn each_reason_to_refuse_a_reply_has_its_label_and_status() {
    let conflict = ContentLengthError::Conflict {
        first: 1,
        second: 2,
    };
    for (error, kind, status) in [
        (ReplyError::Status, "status", 502),
        (ReplyError::NoStatus, "no_status", 502),
        (ReplyError::Header, "header", 502),
        (ReplyError::TooLong { limit: 1 }, "too_long", 502),
        (
            ReplyError::TooManyHeaders { limit: 1 },
            "too_many_headers",
            502,
        ),
        (
            ReplyError::ContentLength(conflict),
            "content_length_conflict",
            502,
        ),
        (ReplyError::TransferEncoding, "transfer_encoding", 502),
        (ReplyError::Reason, "reason", 500),
        (ReplyError::Interim, "interim", 500),
        (ReplyError::UnknownEnd, "unknown_end", 500),
        (ReplyError::NoRoom { need: 2, room: 1 }, "no_room", 500),
    ] {
        assert_eq!((error.kind(), error.http_status()), (kind, status));
    }
}
