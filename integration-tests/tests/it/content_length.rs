//! CONTENT_LENGTH: a number of bytes or nothing, and anything else is refused.

use integration_tests::{Reply, Scoter, get, with};

fn ask(scoter: &Scoter, lengths: &[&str], body: &[u8]) -> Reply {
    let vars = lengths.iter().map(|length| ("CONTENT_LENGTH", *length));
    let packet = with(with(get("/starts"), [("REQUEST_METHOD", "POST")]), vars);
    let packet = packet.to_vec().expect("fits");
    scoter.connect().send([&packet, body].concat()).reply()
}

#[test]
fn numbers_of_bytes_are_understood() {
    let scoter = Scoter::serving("bodies").start();
    let gate = scoter.gate("body");
    gate.open_for(10);
    for (lengths, expected) in [
        (&[][..], ""),
        (&[""], ""),
        (&["0"], ""),
        (&["5"], "12345"),
        (&["007"], "1234567"),
        (&["5", "5"], "12345"),
        (&["", "5"], "12345"),
    ] {
        let reply = ask(&scoter, lengths, b"123456789");
        assert_eq!(
            (reply.status, &*reply.text()),
            (200, expected),
            "{lengths:?}"
        );
    }
}

#[test]
fn anything_else_is_refused_before_the_application_sees_it() {
    let mut scoter = Scoter::serving("bodies").start();
    for lengths in [
        &["abc"][..],
        &["-5"],
        &["+5"],
        &[" 5"],
        &["5 "],
        &["5\n"],
        &["5abc"],
        &["5.5"],
        &["5,5"],
        &["1e3"],
        &["0x10"],
        &["1_0"],
        &["\u{ff15}"], // FULLWIDTH DIGIT FIVE, a digit for Python's int()
        &["5\0"],
        &["9223372036854775808"],
        &["18446744073709551617"],
        &["99999999999999999999999999999999999999999"],
        &["5", "6"],
        &["6", "5"],
        &["0", "5"],
    ] {
        // Behind it a whole request, which must never be taken for one.
        let smuggled = get("/starts").to_vec().expect("fits");
        let reply = ask(&scoter, lengths, &smuggled);
        assert_eq!(reply.status, 400, "{lengths:?}");
    }
    scoter.stop();
    assert!(scoter.events().is_empty());
}
