//! The length of a request's body.

use http::Version;
use uwsgi_codec::ContentLengthError;
use uwsgi_codec::http::{AbsentBody, BodyLength, MapError, RequestMapping};

use crate::{all, get, map_by};

#[test]
fn length_is_read_from_the_head_or_refused() {
    let syntax = |text: &str| {
        Err(MapError::ContentLength(ContentLengthError::Syntax {
            text: text.to_owned(),
        }))
    };
    let conflict = Err(MapError::ContentLength(ContentLengthError::Conflict {
        first: 5,
        second: 6,
    }));
    let length = "Content-Length";
    let encoding = "Transfer-Encoding";
    let both = Err(MapError::TransferEncodingWithLength);
    for (headers, http_1, http_2) in [
        (&[][..], Ok(BodyLength::Absent), Ok(BodyLength::Unknown)),
        (
            &[(length, "0")],
            Ok(BodyLength::Known(0)),
            Ok(BodyLength::Known(0)),
        ),
        (
            &[(length, "05")],
            Ok(BodyLength::Known(5)),
            Ok(BodyLength::Known(5)),
        ),
        (
            &[(length, "5"), (length, "5")],
            Ok(BodyLength::Known(5)),
            Ok(BodyLength::Known(5)),
        ),
        (&[(length, "5"), (length, "6")], conflict.clone(), conflict),
        (&[(length, "5, 5")], syntax("5, 5"), syntax("5, 5")),
        (&[(length, "+5")], syntax("+5"), syntax("+5")),
        (&[(length, "-1")], syntax("-1"), syntax("-1")),
        (&[(length, "")], syntax(""), syntax("")),
        (&[(length, "5"), (length, "")], syntax(""), syntax("")),
        (
            &[(encoding, "chunked")],
            Ok(BodyLength::Unknown),
            Ok(BodyLength::Unknown),
        ),
        (
            &[(encoding, "chunked"), (length, "5")],
            both.clone(),
            both.clone(),
        ),
        (&[(encoding, "identity"), (length, "5")], both.clone(), both),
    ] {
        let with_bytes: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let mut parts = get(&with_bytes);
        assert_eq!(BodyLength::of(&parts), http_1, "{headers:?}");
        parts.version = Version::HTTP_2;
        assert_eq!(BodyLength::of(&parts), http_2, "{headers:?}");
    }
}

#[test]
fn what_is_sent_has_to_be_what_the_head_says() {
    let known = BodyLength::Known;
    let differ = |header, body| Err(MapError::BodyLength { header, body });
    let length = "Content-Length";
    let encoding = "Transfer-Encoding";
    for (headers, body, expected) in [
        (&[][..], BodyLength::Absent, Ok("")),
        (&[], known(0), Ok("0")),
        (&[], known(7), Ok("7")),
        (&[], BodyLength::Unknown, Err(MapError::LengthRequired)),
        (&[(length, "005")], known(5), Ok("5")),
        (&[(length, "0")], BodyLength::Absent, Ok("0")),
        (&[(length, "5")], known(6), differ(5, 6)),
        (&[(length, "5")], BodyLength::Absent, differ(5, 0)),
        (&[(encoding, "chunked")], known(5), Ok("5")),
        (
            &[(encoding, "chunked"), (length, "5")],
            known(5),
            Err(MapError::TransferEncodingWithLength),
        ),
    ] {
        let with_bytes: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let vars = map_by(&RequestMapping::new(), &get(&with_bytes), body);
        let sent = vars.map(|vars| {
            assert_eq!(all(&vars, "HTTP_CONTENT_LENGTH"), [""; 0]);
            assert_eq!(all(&vars, "HTTP_TRANSFER_ENCODING"), [""; 0]);
            all(&vars, "CONTENT_LENGTH").join("|")
        });
        let expected = expected.map(str::to_owned);
        assert_eq!(sent, expected, "{headers:?} {body:?}");
    }
    assert_eq!(MapError::LengthRequired.http_status(), 411);
}

#[test]
fn absent_body_is_sent_as_chosen() {
    for (absent_body, expected) in [
        (AbsentBody::Empty, &[""][..]),
        (AbsentBody::Zero, &["0"]),
        (AbsentBody::Omit, &[]),
    ] {
        let mapping = RequestMapping::new().with_absent_body(absent_body);
        let vars = map_by(&mapping, &get(&[]), BodyLength::Absent).unwrap();
        assert_eq!(all(&vars, "CONTENT_LENGTH"), expected);
        let vars = map_by(&mapping, &get(&[]), BodyLength::Known(0)).unwrap();
        assert_eq!(all(&vars, "CONTENT_LENGTH"), ["0"]);
    }
}
