//! The values of a metric.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue,
    GaugeValueEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A metric: its name without prefix and suffixes, and what it has to tell.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) figures: Figures,
}

/// The values of a metric, each with its labels.
#[derive(Debug)]
pub(super) enum Figures {
    /// They only grow.
    Counters(Vec<(Labels, Number)>),
    Gauges(Vec<(Labels, Number)>),
    Histogram(Histogram),
    /// Always 1: the labels are what it tells.
    Info(Labels),
}

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A value, written as it is: a count has no decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

/// Values counted by size.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) sum: f64,
    /// Upper bounds and the number of values up to each and above the one before; the last bound is
    /// infinite.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Figures {
    /// One counter without labels.
    pub(super) fn counter(value: u64) -> Self {
        Self::Counters(vec![(Vec::new(), value.into())])
    }

    /// One gauge without labels.
    pub(super) fn gauge(value: u64) -> Self {
        Self::Gauges(vec![(Vec::new(), value.into())])
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Counters(_) => MetricType::Counter,
            Self::Gauges(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
            Self::Info(_) => MetricType::Info,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Counters(values) | Self::Gauges(values) => values.is_empty(),
            Self::Histogram(_) | Self::Info(_) => false,
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<Duration> for Number {
    fn from(time: Duration) -> Self {
        Self::Real(time.as_secs_f64())
    }
}

impl EncodeCounterValue for Number {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeCounterValue::encode(number, encoder),
            Self::Real(number) => EncodeCounterValue::encode(number, encoder),
        }
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeGaugeValue::encode(number, encoder),
            Self::Real(number) => EncodeGaugeValue::encode(number, encoder),
        }
    }
}

impl Family {
    /// Writes it, unless nothing is known.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.figures.is_empty() {
            return Ok(());
        }
        let kind = self.figures.metric_type();
        let mut encoder =
            encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        match &self.figures {
            Figures::Counters(values) => values.iter().try_for_each(|(labels, value)| {
                let mut one = encoder.encode_family(labels)?;
                one.encode_counter::<NoLabelSet, _, f64>(value, None)
            }),
            Figures::Gauges(values) => values
                .iter()
                .try_for_each(|(labels, value)| encoder.encode_family(labels)?.encode_gauge(value)),
            Figures::Histogram(Histogram { sum, buckets }) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
            Figures::Info(labels) => encoder.encode_info(labels),
        }
    }
}
