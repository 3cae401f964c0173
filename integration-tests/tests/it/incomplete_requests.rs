//! Requests of an nginx that does not include `uwsgi_params`.

use integration_tests::{Scoter, get, with};
use uwsgi_codec::PacketBuilder;

#[test]
fn variables_that_every_request_has_are_missed_once() {
    let method = ("REQUEST_METHOD", "GET");
    let address = ("REMOTE_ADDR", "192.0.2.1");
    for (missing, vars, arguments, workers) in [
        ("REQUEST_METHOD", &[address][..], &[][..], "1"),
        ("REMOTE_ADDR", &[method], &[], "2"),
        ("REQUEST_METHOD, REMOTE_ADDR", &[], &["--no-master"], "1"),
    ] {
        let scoter = Scoter::serving("forms:function").args(arguments);
        let mut scoter = scoter.workers(workers).start();
        scoter.connect().packet(&get("/")).reply();
        assert!(scoter.log_lines("missing=").is_empty(), "{missing}");
        let packet = with(PacketBuilder::new(), [("PATH_INFO", "/")]);
        let packet = with(packet, vars.iter().copied());
        for _ in 0..20 {
            assert_eq!(scoter.connect().packet(&packet).reply().status, 203);
        }
        let line = scoter.wait_for_log("missing=");
        let names = format!("missing=\"{missing}\"");
        for expected in ["WARN", "include uwsgi_params", &names] {
            assert!(line.contains(expected), "{line}");
        }
        scoter.stop();
        assert_eq!(scoter.log_lines("missing=").len(), 1, "{missing}");
    }
}
