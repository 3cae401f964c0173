use wsgi_environ::{Method, reason_phrase, write_plain_response};

use crate::harness::packet;

#[test]
fn method_is_head_only_if_spelled_so() {
    for (method, expected) in [
        ("HEAD", Method::Head),
        ("head", Method::Other),
        ("GET", Method::Other),
        ("", Method::Other),
    ] {
        let packet = packet(&[("REQUEST_METHOD", method)]);
        assert_eq!(Method::of(packet.vars.as_ref()), expected, "{method}");
    }
    assert_eq!(
        Method::of(packet::<&str, &str>(&[]).vars.as_ref()),
        Method::Other
    );
}

#[test]
fn plain_response_has_a_length_and_a_known_reason() {
    let mut out = b"kept".to_vec();
    write_plain_response(400, "no\n", Method::Other, &mut out);
    assert_eq!(
        out.escape_ascii().to_string(),
        "keptHTTP/1.1 400 Bad Request\\r\\nContent-Type: text/plain\\r\\n\
         Content-Length: 3\\r\\n\\r\\nno\\n"
    );

    out.clear();
    write_plain_response(400, "no\n", Method::Head, &mut out);
    assert!(out.ends_with(b"Content-Length: 3\r\n\r\n"));

    assert_eq!(reason_phrase(299), "Unknown");
}
