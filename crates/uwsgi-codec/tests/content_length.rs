//! How long the body is, by the vars.

use uwsgi_codec::{ContentLengthError, PacketBuilder, content_length};

fn length_of(values: &[impl AsRef<[u8]>]) -> Result<Option<u64>, ContentLengthError> {
    let mut packet = PacketBuilder::new();
    for value in values {
        packet
            .var("CONTENT_LENGTH", value)
            .expect("it fits a packet");
    }
    let packet = packet.build().expect("a request");
    content_length(packet.vars.as_ref())
}

#[test]
fn content_length_is_digits_or_nothing() {
    let syntax = |text: &str| {
        Err(ContentLengthError::Syntax {
            text: text.to_owned(),
        })
    };
    let too_large = |text: &str| {
        Err(ContentLengthError::TooLarge {
            text: text.to_owned(),
        })
    };
    let conflict = |first, second| Err(ContentLengthError::Conflict { first, second });
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
        assert_eq!(length_of(values), *expected, "{values:?}");
    }
}

#[test]
fn overlong_content_length_is_quoted_in_part() {
    let error = length_of(&[[b'\xff'; 60_000]]).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");

    let error = length_of(&[[b'9'; 60_000]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "content length \"99999999999999999999999999999999\" is larger than 2^63-1"
    );
}

#[test]
fn each_error_has_its_label() {
    for (values, kind) in [
        (&["+5"][..], "content_length_syntax"),
        (&["9223372036854775808"], "content_length_too_large"),
        (&["1", "2"], "content_length_conflict"),
    ] {
        let error = length_of(values).expect_err(kind);
        assert_eq!((error.kind(), error.http_status()), (kind, 400));
    }
}
