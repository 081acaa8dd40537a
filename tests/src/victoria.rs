//! VictoriaMetrics as a real OTLP backend: metrics in at `/opentelemetry/v1/metrics`, `PromQL` out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::net::{Net, Side};
use crate::observability::scheme::Scheme;
use crate::process::{Server, private_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// What tells one series from another.
pub type Labels = BTreeMap<String, String>;

/// One series of an instant query, with its labels and value.
pub type Series = (Labels, f64);

/// A VictoriaMetrics with storage of its own, which a test takes down and brings up again.
pub struct Victoria<'net> {
    net: &'net Net,
    side: Side,
    address: SocketAddr,
    scheme: Scheme,
    memory: &'static str,
    server: Option<Server>,
    dir: TempDir,
}

impl<'net> Victoria<'net> {
    /// Starts one and returns once it is ready. The namespace is private, so any port is free.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn start(net: &'net Net, side: Side, address: SocketAddr) -> Result<Self> {
        Self::with_names(net, side, address, Scheme::Prometheus)
    }

    /// The same, with the names of this scheme.
    ///
    /// # Errors
    /// As [`Victoria::start`].
    pub fn with_names(net: &'net Net, side: Side, address: SocketAddr, scheme: Scheme) -> Result<Self> {
        Self::sized(net, side, address, scheme, "256MB")
    }

    /// One for a whole fleet, whose series its caches have room for.
    ///
    /// # Errors
    /// As [`Victoria::start`].
    pub fn large(net: &'net Net, side: Side, address: SocketAddr) -> Result<Self> {
        Self::sized(net, side, address, Scheme::Prometheus, "4GB")
    }

    /// It sizes its caches by the memory of the machine; most tests need little of it.
    fn sized(net: &'net Net, side: Side, address: SocketAddr, scheme: Scheme, memory: &'static str) -> Result<Self> {
        let mut victoria = Self { net, side, address, scheme, memory, server: None, dir: private_dir()? };
        victoria.up()?;
        Ok(victoria)
    }

    /// Starts it again on its address, with what it has stored.
    ///
    /// # Errors
    /// When it does not become ready, with its log.
    pub fn up(&mut self) -> Result<()> {
        let (address, dir) = (self.address, self.dir.path());
        let server = Server::start(
            self.net
                .command(self.side, "victoria-metrics")?
                .arg(format!("-httpListenAddr={address}"))
                .arg(format!("-storageDataPath={}", dir.join("data").display()))
                // What has arrived is to be found at once.
                .args(["-search.latencyOffset=0s", "-search.disableCache"])
                .arg(format!("-opentelemetry.usePrometheusNaming={}", self.scheme == Scheme::Prometheus))
                .arg(format!("-memory.allowedBytes={}", self.memory)),
            &dir.join("log"),
        )?;
        let server = self.server.insert(server);
        http::await_answer((self.net, self.side), server, (address, "/health"), START_DEADLINE)
    }

    /// Stops it; what it has taken is stored.
    ///
    /// # Errors
    /// When it does not stop, or has stopped by itself.
    pub fn down(&mut self) -> Result<()> {
        let mut server = self.server.take().context("VictoriaMetrics is down")?;
        server.stop(STOP_DEADLINE)?;
        Ok(())
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base URL for OTLP/HTTP; an exporter adds `/v1/metrics`.
    pub fn otlp_url(&self) -> String {
        format!("http://{}/opentelemetry", self.address)
    }

    /// The process id, for `/proc`; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// The folder of what it has stored.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What VictoriaMetrics has written so far.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Takes metrics as an agent sends them.
    ///
    /// # Errors
    /// When they are refused.
    pub fn take(&self, metrics: &ExportMetricsServiceRequest) -> Result<()> {
        let (address, body) = (self.address, metrics.encode_to_vec());
        let response =
            self.net.within(self.side, || http::request(address, "POST", "/opentelemetry/v1/metrics", &[], body))??;
        ensure!(response.status < 300, "OTLP: {} {}", response.status, response.body);
        Ok(())
    }

    /// Adds samples in Prometheus' text format.
    ///
    /// # Errors
    /// When they are refused.
    pub fn import(&self, text: &str) -> Result<()> {
        let address = self.address;
        let response =
            self.net.within(self.side, || http::request(address, "POST", "/api/v1/import/prometheus", &[], text))??;
        ensure!(response.status < 300, "import: {} {}", response.status, response.body);
        Ok(())
    }

    /// Adds series, a line of JSON each, with all their values.
    ///
    /// # Errors
    /// When they are refused.
    pub fn import_series(&self, lines: &str) -> Result<()> {
        let address = self.address;
        let response =
            self.net.within(self.side, || http::request(address, "POST", "/api/v1/import", &[], lines))??;
        ensure!(response.status < 300, "import: {} {}", response.status, response.body);
        Ok(())
    }

    /// Records what an expression has yielded, a value a minute, as a rule would have done all the time: its series are called
    /// `name`, and bear `labels` as well. Both times are seconds since the epoch.
    ///
    /// # Errors
    /// When it is refused, or does not yield a matrix.
    pub fn record(
        &self,
        (name, expr): (&str, &str),
        labels: &BTreeMap<&'static str, String>,
        (from, to): (u64, u64),
    ) -> Result<()> {
        let body = format!("query={}&start={from}&end={to}&step=60s", http::encode_query(expr));
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let address = self.address;
        let response = self.net.within(self.side, || {
            http::get(address, "/internal/force_flush")?;
            http::request(address, "POST", "/api/v1/query_range", &headers, body)
        })??;
        let answer: Value = serde_json::from_str(&response.body).with_context(|| response.body.clone())?;
        let matrix = answer.pointer("/data/result").and_then(Value::as_array).with_context(|| answer.to_string())?;
        let mut lines = String::new();
        for series in matrix {
            let mut metric = crate::victoria::labels(series)?;
            metric.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            metric.insert("__name__".to_owned(), name.to_owned());
            let points = series.get("values").and_then(Value::as_array).context("no values")?;
            let point = |point: &Value| {
                let value = point.pointer("/1")?.as_str()?.parse::<f64>().ok()?;
                Some((point.pointer("/0")?.as_f64()? * 1e3, value))
            };
            let (timestamps, values): (Vec<f64>, Vec<f64>) = points.iter().filter_map(point).unzip();
            let line = serde_json::json!({
                "metric": metric, "values": values,
                "timestamps": timestamps.iter().map(|at| *at as u64).collect::<Vec<_>>(),
            });
            lines += &format!("{line}\n");
        }
        self.import_series(&lines)
    }

    /// Evaluates an expression now, once all that has arrived is made searchable.
    ///
    /// # Errors
    /// When it is refused, or does not yield a vector.
    pub fn query(&self, promql: &str) -> Result<Vec<Series>> {
        self.query_at(promql, None)
    }

    /// Every sample that is stored of a series: when, in seconds since the Unix epoch, and the value, in the order of time.
    ///
    /// # Errors
    /// When it is refused, or the answer is none.
    pub fn samples(&self, selector: &str) -> Result<Vec<(f64, f64)>> {
        let mut samples: Vec<_> = self.export(selector)?.into_values().flatten().collect();
        samples.sort_by(|one, other| one.0.total_cmp(&other.0));
        Ok(samples)
    }

    /// The same of each series by itself, in the order of time. Nothing is merged: what was stored twice is there twice.
    ///
    /// # Errors
    /// As [`Victoria::samples`].
    pub fn export(&self, selector: &str) -> Result<BTreeMap<Labels, Vec<(f64, f64)>>> {
        // The storage keeps a month, and two days of the future.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (start, end) = (now - 30 * 86_400, now + 2 * 86_400);
        let target = format!("/api/v1/export?match[]={}&start={start}&end={end}", http::encode_query(selector));
        let address = self.address;
        let body = self.net.within(self.side, || {
            http::get(address, "/internal/force_flush")?;
            http::get(address, &target)
        })??;
        let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for line in body.lines() {
            let block: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let list = |name: &str| block.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let numbers = |name: &str| list(name).iter().filter_map(Value::as_f64).collect::<Vec<_>>();
            let samples = series.entry(labels(&block)?).or_default();
            samples.extend(numbers("timestamps").iter().map(|at| at / 1e3).zip(numbers("values")));
        }
        series.values_mut().for_each(|samples| samples.sort_by(|one, other| one.0.total_cmp(&other.0)));
        Ok(series)
    }

    /// Evaluates an expression at a time in seconds since the epoch, `None` being now.
    ///
    /// # Errors
    /// As [`Victoria::query`].
    pub fn query_at(&self, promql: &str, time: Option<f64>) -> Result<Vec<Series>> {
        let mut target = format!("/api/v1/query?query={}", http::encode_query(promql));
        if let Some(time) = time {
            target += &format!("&time={time}");
        }
        let address = self.address;
        let body = self.net.within(self.side, || {
            http::get(address, "/internal/force_flush")?;
            http::get(address, &target)
        })??;
        parse_vector(&body).with_context(|| format!("{promql}: {body}"))
    }
}

fn parse_vector(body: &str) -> Result<Vec<Series>> {
    let answer: Value = serde_json::from_str(body)?;
    let result = answer.pointer("/data/result").and_then(Value::as_array).context("no result")?;
    result.iter().map(parse_series).collect()
}

fn parse_series(series: &Value) -> Result<Series> {
    let value = series.pointer("/value/1").and_then(Value::as_str).context("no value")?;
    Ok((labels(series)?, value.parse()?))
}

fn labels(series: &Value) -> Result<Labels> {
    let labels = series.get("metric").and_then(Value::as_object).context("no labels")?;
    Ok(labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_vector_becomes_labels_and_values() {
        let body = r#"{"data":{"result":[{"metric":{"__name__":"a","b":"c"},"value":[1700000000,"-1.5"]}]}}"#;
        let [(labels, value)] = parse_vector(body).unwrap().try_into().unwrap();
        assert_eq!(labels["b"], "c");
        assert!((value + 1.5).abs() < f64::EPSILON);
    }

    #[test]
    fn an_error_is_not_an_empty_vector() {
        assert!(parse_vector(r#"{"status":"error","error":"unknown function"}"#).is_err());
    }
}
