//! What a fleet costs its backend: `cargo bench -p tests --features lab -- fleet` sends a drill of 100, 1 000 and 10 000 hosts
//! into a VictoriaMetrics each, and prints a table of what that took. The program is that of the release.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::http;
use tests::net::{IMDS, Net, Side};
use tests::observability::asked;
use tests::observability::committed::root;
use tests::observability::scheme::Scheme;
use tests::packages;
use tests::process::private_dir;
use tests::victoria::Victoria;
use tests::vmalert::Vmalert;
use tests::wait::wait_until;

const FLEETS: [u32; 3] = [100, 1_000, 10_000];
const MINUTES: u32 = 10;
const EXPORTS_A_DAY: f64 = 1_440.0;
/// So many times each query is asked.
const TIMES: usize = 5;
/// What a panel asks for of its query: by default a dashboard shows six hours, in as many steps as it has room for.
const PANEL: &str = "start=-6h&step=45s";
/// For so long vmalert evaluates, once in thirty seconds.
const WATCH: Duration = Duration::from_secs(75);

/// What was measured of one fleet.
#[derive(Debug)]
struct Row {
    hosts: u32,
    series: f64,
    samples_a_second: f64,
    points: f64,
    bytes: f64,
    taken_a_second: f64,
    storage_seconds: f64,
    disk_a_day: f64,
    memory: f64,
    rules: f64,
    median: f64,
    slow: f64,
    resident: f64,
}

/// Prints the table.
///
/// # Errors
/// A program of the lab fails.
pub(super) fn fleet() -> Result<()> {
    let rows = FLEETS.iter().map(|hosts| measured(*hosts)).collect::<Result<Vec<_>>>()?;
    let line = |name: &str, value: &dyn Fn(&Row) -> String| {
        let cells: Vec<String> = rows.iter().map(value).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    line("hosts", &|row| row.hosts.to_string());
    println!("|---|---|---|---|");
    line("series of the agents", &|row| format!("{:.0}", row.series));
    line("samples a second, at an export a minute", &|row| format!("{:.0}", row.samples_a_second));
    line("bytes a second on the wire, gzip, without headers", &|row| {
        format!("{:.1} kB", row.bytes * f64::from(row.hosts) / 60.0 / 1e3)
    });
    line("points in an export", &|row| format!("{:.1}", row.points));
    line("bytes of an export", &|row| format!("{:.0}", row.bytes));
    line("samples a second that one drill got in, at once", &|row| format!("{:.0}", row.taken_a_second));
    line("CPU of VictoriaMetrics for a minute of the fleet", &|row| format!("{:.2} s", row.storage_seconds));
    line("disk a day", &|row| format!("{:.1} MB", row.disk_a_day / 1e6));
    line("resident memory of VictoriaMetrics", &|row| format!("{:.0} MB", row.memory / 1e6));
    line("one evaluation of all records, median", &|row| format!("{:.2} s", row.rules));
    line("queries of the dashboards, median", &|row| format!("{:.0} ms", row.median * 1e3));
    line("queries of the dashboards, p95", &|row| format!("{:.0} ms", row.slow * 1e3));
    line("memory of the drill a host", &|row| format!("{:.1} kB", row.resident / f64::from(row.hosts) / 1e3));
    let [.., before, last] = rows.as_slice() else { return Ok(()) };
    ensure!(last.slow <= 1.0, "a dashboard of {} hosts takes {:.2} s", last.hosts, last.slow);
    ensure!(last.resident <= 60e3 * f64::from(last.hosts), "{:.0} bytes for the drill", last.resident);
    ensure!(last.rules < 30.0, "the rules do not keep up: {:.1} s", last.rules);
    // A machine that does other things as well takes its time.
    ensure!(last.disk_a_day < 20.0 * before.disk_a_day, "the disk grows faster than the fleet");
    Ok(())
}

fn measured(hosts: u32) -> Result<Row> {
    let net = Net::new()?;
    let at = |port| SocketAddr::new(IMDS, port);
    let mut victoria = Victoria::large(&net, Side::Aws, at(8428))?;
    let pid = victoria.pid().context("VictoriaMetrics does not run")?;
    let (begun, cpu) = (Instant::now(), super::cpu_seconds(pid)?);
    let (text, resident) = drill(&net, hosts, &victoria.otlp_url())?;
    let (seconds, storage) = (begun.elapsed().as_secs_f64(), super::cpu_seconds(pid)? - cpu);
    // As the drill says: "N exports with P points were sent: each has X points in B bytes."
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |word: &str, by: usize| -> Result<f64> {
        let place = words.windows(2).position(|pair| pair == [word, "were"]).context(text.clone())?;
        let word = words.get(place + by).context(text.clone())?;
        Ok(word.parse()?)
    };
    let (points, bytes) = (after("points", 5)?, after("points", 8)?);
    let total = words.windows(2).position(|pair| pair == ["points", "were"]).and_then(|place| words.get(place - 1));
    let total: f64 = total.context("no points")?.parse()?;
    let series = victoria.query("count(last_over_time({skewguard_demo=\"true\"}[1h]))")?;
    let series = series.first().context("no series")?.1;
    // What is in memory is on disk then.
    let memory = super::resident_bytes(pid)?;
    // A storage that has a day for it puts its parts together; how far it has come by now is chance.
    net.within(Side::Aws, || http::get(at(8428), "/internal/force_flush"))??;
    net.within(Side::Aws, || http::get(at(8428), "/internal/force_merge"))??;
    wait_until("the end of merging", WATCH, || {
        let metrics = net.within(Side::Aws, || http::get(at(8428), "/metrics"));
        metrics.is_ok_and(|told| told.is_ok_and(|told| told.lines().any(|line| line == "vm_active_force_merges 0")))
    })?;
    victoria.down()?;
    let (data, index) = disk(&victoria.data())?;
    victoria.up()?;
    let samples_a_day = points * f64::from(hosts) * EXPORTS_A_DAY;

    let rules = fs::read_to_string(root().join("deploy/rules/skewguard.rules.yaml"))?;
    let vmalert = Vmalert::start(&net, at(8880), &rules, &victoria.url(), "http://127.0.0.1:9")?;
    let watched = Instant::now();
    let mut evaluations = Vec::new();
    let mut times = Vec::new();
    while watched.elapsed() < WATCH {
        // What the agents go on to send, as far as it is asked for.
        std::thread::sleep(Duration::from_secs(10));
        let metrics = net.within(Side::Aws, || http::get(at(8880), "/metrics"))??;
        let of_records = metrics.lines().find(|line| {
            line.starts_with("vmalert_iteration_duration_seconds{")
                && line.contains("skewguard-records")
                && line.contains("quantile=\"0.5\"")
        });
        evaluations.extend(of_records.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()));
        if watched.elapsed() > WATCH / 2 && times.is_empty() {
            for query in queries()? {
                for _ in 0..TIMES {
                    let asked = Instant::now();
                    let target = format!("/api/v1/query_range?query={}&{PANEL}", http::encode_query(&query));
                    let _ = net.within(Side::Aws, || http::get(at(8428), &target))??;
                    times.push(asked.elapsed().as_secs_f64());
                }
            }
        }
    }
    drop(vmalert);
    times.sort_by(f64::total_cmp);
    let quantile = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Ok(Row {
        hosts,
        series,
        samples_a_second: points * f64::from(hosts) / 60.0,
        points,
        bytes,
        taken_a_second: total / seconds,
        storage_seconds: storage / f64::from(MINUTES),
        disk_a_day: data / total * samples_a_day + index,
        memory,
        rules: super::median(evaluations),
        median: quantile(0.5),
        slow: quantile(0.95),
        resident,
    })
}

/// What a drill of the last minutes says, and its most resident memory in bytes.
fn drill(net: &Net, hosts: u32, otlp: &str) -> Result<(String, f64)> {
    let dir = private_dir()?;
    let binary = packages::program(&packages::built()?, &dir.path().join("package"))?;
    let out = dir.path().join("out");
    let mut command = net.command(Side::Agent, &binary)?;
    command.args(["demo", "--past", "--otlp", otlp, "--fleet", &hosts.to_string(), "--minutes", &MINUTES.to_string()]);
    let mut child = command.stdout(fs::File::create(&out)?).stderr(Stdio::null()).spawn()?;
    let most = super::peak_bytes(&mut child)?;
    let text = fs::read_to_string(out)?;
    ensure!(child.wait()?.success(), "{text}");
    Ok((text, most))
}

/// What the samples take, and what the names of the series take, in bytes.
fn disk(data: &Path) -> Result<(f64, f64)> {
    let size = |folder: &str| -> Result<f64> {
        let output = Command::new("du").args(["--summarize", "--bytes"]).arg(data.join(folder)).output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.split_whitespace().next().context("du says nothing")?.parse()?)
    };
    Ok((size("data")?, size("indexdb")?))
}

/// What the dashboards of Grafana ask of any host.
fn queries() -> Result<BTreeSet<String>> {
    let of_one = |query: &String| {
        let query = query.replace("$region", ".*").replace("=\"$host\"", "=~\"drill-.*-00001\"");
        query.replace("$host", "drill-.*-00001")
    };
    Ok(asked::by_grafana(Scheme::Prometheus)?.iter().map(of_one).collect())
}
