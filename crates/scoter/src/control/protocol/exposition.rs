//! The formats of the metrics.

/// A text format that collectors read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// Prometheus' own.
    Prometheus,
    OpenMetrics,
}

impl Exposition {
    /// The format that a client prefers (RFC 9110, 12.5.1), by default Prometheus' own. `accept` are
    /// the values of its `Accept` headers.
    pub(in crate::control) fn accepted<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let ranges: Vec<_> = accept
            .flat_map(|value| value.split(','))
            .map(Range::parse)
            .collect();
        let weight_of = |kind: &&str| {
            let matching = ranges.iter().filter(|range| range.kind == *kind);
            matching.map(|range| range.weight).reduce(f64::max)
        };
        // The most specific range counts.
        let weight = |kinds: &[&str]| kinds.iter().find_map(weight_of).unwrap_or(0.0);
        // Who names no format of metrics, but anything, is a person with a browser or curl.
        let plain = weight(&["text/plain", "text/*", "*/*"]);
        match weight(&["application/openmetrics-text"]) > plain {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    pub(in crate::control) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One media range of an `Accept` header.
#[derive(Debug)]
struct Range {
    /// In lower case, without parameters.
    kind: String,
    weight: f64,
}

impl Range {
    /// A version that is not spoken here counts as none at all.
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut is_spoken) = (1.0, true);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim_matches('"');
            match &*name.to_ascii_lowercase() {
                "q" => weight = value.parse().unwrap_or(0.0),
                "version" => is_spoken = ["0.0.1", "0.0.4", "1.0.0"].contains(&value),
                _ => {}
            }
        }
        Self {
            kind,
            weight: if is_spoken { weight } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_the_one_that_the_client_prefers() {
        for (accept, expected) in [
            (&[][..], Exposition::Prometheus),
            (&["*/*"], Exposition::Prometheus),
            (
                &["text/html,application/xhtml+xml,*/*;q=0.8"],
                Exposition::Prometheus,
            ),
            (&["text/plain"], Exposition::Prometheus),
            (&["application/openmetrics-text"], Exposition::OpenMetrics),
            (
                &["Application/OpenMetrics-Text; Version=1.0.0"],
                Exposition::OpenMetrics,
            ),
            // Prometheus 2.42, and 3.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                   version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                Exposition::OpenMetrics,
            ),
            (
                &[
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                   application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                   escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ],
                Exposition::OpenMetrics,
            ),
            (
                &["text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5"],
                Exposition::Prometheus,
            ),
            (
                &["text/plain;q=0.1", "application/openmetrics-text"],
                Exposition::OpenMetrics,
            ),
            (
                &["application/openmetrics-text;version=2.0.0,text/plain;q=0.1"],
                Exposition::Prometheus,
            ),
            (
                &["application/openmetrics-text;q=0"],
                Exposition::Prometheus,
            ),
            (
                &["application/openmetrics-text;q=x,\u{fffd};;,=;"],
                Exposition::Prometheus,
            ),
        ] {
            let chosen = Exposition::accepted(accept.iter().copied());
            assert_eq!(chosen, expected, "{accept:?}");
        }
    }
}
