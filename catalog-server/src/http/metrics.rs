//! Counts and times, as Prometheus reads them. Each server has its own, so that many can live in one process.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use lake_format::Error;
use metrics::{Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const REQUESTS: &str = "lake_http_requests_total";
const DURATION: &str = "lake_http_request_duration_seconds";
const COMMITS: &str = "lake_commits_total";
const REFUSALS: &str = "lake_contract_refusals_total";
const BUILD: &str = "lake_build_info";

const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The metrics of one server.
pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new() -> Result<Self, Error> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(BUCKETS)
            .map_err(|e| Error::internal("the metrics can't be set up").with_source(e))?
            .build_recorder();
        recorder.describe_counter(REQUESTS.into(), None, "requests answered".into());
        recorder.describe_histogram(DURATION.into(), Some(Unit::Seconds), "time from request to answer".into());
        recorder.describe_counter(COMMITS.into(), None, "commits by what became of them".into());
        recorder.describe_counter(REFUSALS.into(), None, "commits refused because they broke rules".into());
        recorder.describe_gauge(BUILD.into(), None, "1, labelled with the version of the server".into());
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        let version = Label::new("version", env!("CARGO_PKG_VERSION"));
        metrics.recorder.register_gauge(&Key::from_parts(BUILD, vec![version]), &METADATA).set(1.0);
        Ok(metrics)
    }

    fn count(&self, name: &'static str, labels: Vec<Label>) {
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA).increment(1);
    }

    /// One request. Labels are bounded: `route` is a pattern, never a path.
    pub(super) fn request(&self, route: &'static str, method: &'static str, status: u16, took: Duration) {
        let labels = vec![Label::new("route", route), Label::new("method", method)];
        let mut counted = labels.clone();
        counted.push(Label::new("status", status.to_string()));
        self.count(REQUESTS, counted);
        self.recorder.register_histogram(&Key::from_parts(DURATION, labels), &METADATA).record(took.as_secs_f64());
    }

    /// One commit.
    pub(super) fn commit(&self, outcome: &'static str) {
        self.count(COMMITS, vec![Label::new("outcome", outcome)]);
    }

    /// One commit that broke rules of `layer`.
    pub(super) fn refusal(&self, layer: &'static str) {
        self.count(REFUSALS, vec![Label::new("layer", layer)]);
    }

    /// Condenses what was recorded, so that memory stays bounded without a reader.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(super) fn render(&self) -> Response {
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        ([(header::CONTENT_TYPE, kind)], self.handle.render()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_count_apart() {
        let (a, b) = (Metrics::new().expect("a"), Metrics::new().expect("b"));
        a.commit("committed");
        a.commit("committed");
        a.refusal("silver");
        a.request("/x", "GET", 200, Duration::from_millis(3));
        let (a, b) = (a.handle.render(), b.handle.render());
        assert!(a.contains("lake_commits_total{outcome=\"committed\"} 2"), "{a}");
        assert!(a.contains("lake_contract_refusals_total{layer=\"silver\"} 1"), "{a}");
        assert!(
            a.contains("lake_http_request_duration_seconds_bucket{route=\"/x\",method=\"GET\",le=\"0.005\"} 1"),
            "{a}"
        );
        assert!(!b.contains("committed"), "{b}");
    }
}
