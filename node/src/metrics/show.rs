//! Families of numbers, as a scrape is told them.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::latency::Latency;

/// Labels of one number.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

/// What is told during one scrape.
pub(super) struct Show<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Show<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Show { encoder }
    }

    /// Numbers that only ever rise.
    pub(super) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
                continue;
            }
            let labels: &Labels<'_> = &labels;
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// One number that only ever rises.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(Vec::new(), value)])
    }

    /// Numbers that rise and fall.
    pub(super) fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, f64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
                continue;
            }
            let labels: &Labels<'_> = &labels;
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One number that rises and falls.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    /// Durations, in seconds.
    pub(super) fn latencies<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, Latency)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, latency) in values {
            let labels: &Labels<'_> = &labels;
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                latency.sum_seconds(),
                latency.count(),
                &latency.buckets(),
                None,
            )?;
        }
        Ok(())
    }
}
