//! `status --watch` in a terminal, which script(1) of util-linux makes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy takes what tests share for production code")]

use std::env;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tests::agent::Skewguard;
use tests::chrony::Chrony;
use tests::net::{Net, Side, TIME_SYNC};
use tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);
const YAML: &str = "
sources: [{ name: amazon-time-sync, ntp: 169.254.169.123, trusted: true, poll: 1s }]
credentials: { imds: { enabled: false } }
alerts: { boot_grace: 0s, clock-skew: { for: 0s } }
";

/// A terminal in which somebody looks.
struct Terminal {
    child: Child,
    text: String,
    written: Receiver<String>,
}

impl Terminal {
    fn open(net: &Net, agent: &Skewguard<'_>, (columns, lines): (usize, usize)) -> Self {
        let program = env::var("SKEWGUARD_BIN").unwrap();
        let line = format!("exec {program} status --watch --config {}", agent.config().display());
        let mut command: Command = net.command(Side::Agent, "env").unwrap();
        // A size that nobody has set is 0 columns and lines, as over some serial lines.
        command.args([format!("COLUMNS={columns}"), format!("LINES={lines}"), "NO_COLOR=1".to_owned()]);
        command.args(["script", "--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (sender, written) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let text = buffer.get(..count).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                if sender.send(text.unwrap_or_default()).is_err() {
                    break;
                }
            }
        });
        Self { child, text: String::new(), written }
    }

    /// The first frame in which this stands.
    fn await_frame(&mut self, wanted: &str) -> Vec<String> {
        let found = wait_for(wanted, PATIENCE, || {
            self.text.extend(self.written.try_iter());
            let mut frames = self.text.split("\u{1b}[H").skip(1).filter(|frame| frame.contains("\u{1b}[J"));
            let frame = frames.find(|frame| frame.contains(wanted))?;
            let lines = frame.split("\r\n").map(|line| line.replace("\u{1b}[K", ""));
            Some(lines.map(|line| line.split("\u{1b}[J").next().unwrap_or_default().to_owned()).collect())
        });
        found.unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    /// What it ends with after this key.
    fn end(mut self, key: &str) -> Option<i32> {
        self.child.stdin.as_mut().unwrap().write_all(key.as_bytes()).unwrap();
        let status = wait_for("the end", PATIENCE, || self.child.try_wait().unwrap()).unwrap();
        self.text.extend(self.written.iter());
        assert!(self.text.contains("\u{1b}[?1049h") && self.text.ends_with("\u{1b}[?1049l"), "{:?}", self.text);
        status.code()
    }
}

#[test]
fn one_host_is_looked_at_in_a_small_terminal_while_its_clock_goes_wrong() {
    let net = Net::new().unwrap();
    let chrony = Chrony::start(&net, TIME_SYNC).unwrap();
    let agent = Skewguard::new(&net, YAML).unwrap();
    let mut absent = Terminal::open(&net, &agent, (80, 24));
    absent.await_frame("trying on");
    assert_eq!(absent.end("q"), Some(69));

    let mut running = agent.run().unwrap();
    let is_synchronized = |status: &serde_json::Value| status["clock"]["state"] == "synchronized";
    running.await_status("the time", PATIENCE, is_synchronized).unwrap();
    let mut terminal = Terminal::open(&net, &agent, (80, 24));
    let right = terminal.await_frame("first limit (=) 240 s");
    assert!(right.len() <= 24 && right.iter().all(|line| line.chars().count() <= 80), "{right:#?}");
    assert!(right.iter().any(|line| line.contains('*')) && right.iter().any(|line| line.starts_with("source")));
    chrony.set_offset(200.0).unwrap();
    let wrong = terminal.await_frame("CRITICAL");
    println!("{}", wrong.join("\n"));
    assert!(wrong.iter().any(|line| line.contains("|====")), "the limit is near: {wrong:#?}");
    assert_eq!(terminal.end("q"), Some(2));
    let mut interrupted = Terminal::open(&net, &agent, (40, 8));
    interrupted.await_frame("have no room");
    assert_eq!(interrupted.end("\u{3}"), Some(2));

    let mut other = Terminal::open(&net, &agent, (80, 24));
    other.await_frame("have no room");
    other.child.stdin.as_mut().unwrap().write_all(b"\x1b[A").unwrap();
    // An arrow is no end: it looks on.
    chrony.set_offset(0.0).unwrap();
    other.await_frame("OK  the clock is right");
    assert_eq!(other.end("Q"), Some(0));

    let told = agent.answer(&["status", "--watch"]).unwrap();
    assert!(told.code != Some(0) && told.stderr.contains("--watch needs a terminal"), "{told:?}");
    running.stop(PATIENCE).unwrap();
}
