//! Metrics as text.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text as open_metrics};
use prometheus_client::registry::Registry;

use super::families::families;
use super::figure::Family;
use super::scrape::Scrape;
use crate::control::Exposition;

/// What a collector reads, in the format that it asked for.
pub(crate) fn text(scrape: &Scrape, exposition: Exposition) -> String {
    let mut registry = Registry::with_prefix("scoter");
    registry.register_collector(Box::new(Families(families(scrape))));
    let mut text = String::new();
    let encoded = match exposition {
        Exposition::Prometheus => prometheus_text::encode(&mut text, &registry),
        Exposition::OpenMetrics => open_metrics::encode(&mut text, &registry),
    };
    encoded.expect("writing to a String does not fail, and no number is out of range");
    text
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = self.0.iter();
        families.try_for_each(|family| family.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{ListenerStatus, Status};

    #[test]
    fn formats_differ_where_they_must() {
        let scrape = Scrape {
            python: "3.13.1".to_owned(),
            ..Scrape::default()
        };
        for (exposition, expected, missing) in [
            (
                Exposition::Prometheus,
                &[
                    "# TYPE scoter_request_body_bytes_total counter\n",
                    "# TYPE scoter_build_info gauge\n",
                    "\nscoter_request_duration_seconds_bucket{le=\"+Inf\"} 0\n",
                ][..],
                &["# EOF", "# UNIT"][..],
            ),
            (
                Exposition::OpenMetrics,
                &[
                    "# TYPE scoter_request_body_bytes counter\n",
                    "# UNIT scoter_request_body_bytes bytes\n",
                    "# TYPE scoter_build info\n",
                    "\nscoter_request_duration_seconds_bucket{le=\"+Inf\"} 0\n",
                ],
                &[],
            ),
        ] {
            let text = text(&scrape, exposition);
            let both = [
                "\nscoter_request_body_bytes_total 0",
                "\nscoter_requests_total{method=\"GET\",status=\"2xx\"} 0",
                "python=\"3.13.1\"",
            ];
            for part in expected.iter().chain(&both) {
                assert!(text.contains(part), "{part:?} in {text}");
            }
            for part in missing {
                assert!(!text.contains(part), "{part:?} in {text}");
            }
            let ends = text.ends_with("\n# EOF\n");
            assert_eq!(ends, exposition == Exposition::OpenMetrics, "{text}");
        }
    }

    #[test]
    fn label_is_escaped() {
        let scrape = Scrape {
            status: Status {
                listeners: vec![ListenerStatus {
                    address: "unix:/a\"b\\c\nd".to_owned(),
                    waiting: Some(3),
                    ..ListenerStatus::default()
                }],
                ..Status::default()
            },
            ..Scrape::default()
        };
        let line = "\nscoter_listener_waiting_connections{listener=\"unix:/a\\\"b\\\\c\\nd\"} 3";
        for exposition in [Exposition::Prometheus, Exposition::OpenMetrics] {
            let text = text(&scrape, exposition);
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let text = text(&Scrape::default(), Exposition::Prometheus);
        for name in [
            "scoter_listener_waiting_connections",
            "scoter_last_reload_timestamp_seconds",
            "scoter_worker_cpu_seconds",
            "scoter_master_resident_memory_bytes",
        ] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}
