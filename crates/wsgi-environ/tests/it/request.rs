use wsgi_environ::{Method, RequestError, content_length, reason_phrase, write_plain_response};

use crate::harness::packet;

#[test]
fn content_length_is_digits_or_nothing() {
    let syntax = |text: &str| {
        Err(RequestError::ContentLengthSyntax {
            text: text.to_owned(),
        })
    };
    let too_large = |text: &str| {
        Err(RequestError::ContentLengthTooLarge {
            text: text.to_owned(),
        })
    };
    let conflict = |first, second| Err(RequestError::ContentLengthConflict { first, second });
    let cases: &[(&[&str], _)] = &[
        (&[], Ok(None)),
        (&[""], Ok(None)),
        (&["0"], Ok(Some(0))),
        (&["42"], Ok(Some(42))),
        (&["007"], Ok(Some(7))),
        (&["9223372036854775807"], Ok(Some(i64::MAX as u64))),
        (&["9223372036854775808"], too_large("9223372036854775808")),
        (&["18446744073709551617"], too_large("18446744073709551617")),
        (&["+5"], syntax("+5")),
        (&["-5"], syntax("-5")),
        (&[" 5"], syntax(" 5")),
        (&["5 "], syntax("5 ")),
        (&["5abc"], syntax("5abc")),
        (&["5.5"], syntax("5.5")),
        (&["0x10"], syntax("0x10")),
        (&["1e3"], syntax("1e3")),
        (&["1_0"], syntax("1_0")),
        (&["3,3"], syntax("3,3")),
        (&["\u{0663}"], syntax("\u{0663}")),
        (&["5", "5"], Ok(Some(5))),
        (&["5", "6"], conflict(5, 6)),
        (&["5", "", "7"], conflict(5, 7)),
        (&["5", "x"], syntax("x")),
        // An override of an included uwsgi_param, in either direction.
        (&["5", ""], Ok(None)),
        (&["", "5"], Ok(Some(5))),
    ];
    for (values, expected) in cases {
        let vars: Vec<_> = values.iter().map(|v| ("CONTENT_LENGTH", v)).collect();
        let length = content_length(packet(&vars).vars.as_ref());
        assert_eq!(length, *expected, "{values:?}");
    }
}

#[test]
fn overlong_content_length_is_quoted_in_part() {
    let vars = [("CONTENT_LENGTH", [b'\xff'; 60_000])];
    let error = content_length(packet(&vars).vars.as_ref()).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");

    let vars = [("CONTENT_LENGTH", [b'9'; 60_000])];
    let error = content_length(packet(&vars).vars.as_ref()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "content length \"99999999999999999999999999999999\" is larger than 2^63-1"
    );
}

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
