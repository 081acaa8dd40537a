//! Standard error, which nobody may be reading: what is written waits in memory, and nothing waits for it.
//!
//! A pipe that is full makes whoever writes into it wait, for as long as its reader pleases. The agent has one thread, so it
//! leaves the waiting to another. What does not fit into memory meanwhile is left out, counted, and told of.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::sys::Output;

/// So much waits at most, in bytes: some thousand lines.
const MOST_BYTES: usize = 256 * 1024;
/// How long the end of the process waits for what was written last.
const LAST: Duration = Duration::from_secs(1);

/// The writer of this process, once it has one.
static OF_THIS_PROCESS: OnceLock<Stderr> = OnceLock::new();

/// The way to standard error. To write never waits.
#[derive(Clone)]
pub struct Stderr(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A line of the log.
    Log,
    /// An alert, for which the log makes room.
    Alert,
}

/// How many lines were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Of the log.
    pub log: u64,
    /// Of the alerts, which the channels were told nevertheless.
    pub alerts: u64,
}

/// What waits for standard error.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Class, Vec<u8>)>,
    bytes: usize,
    lost: Lost,
    /// A line is being written.
    is_writing: bool,
    /// The last line could not be written.
    is_broken: bool,
}

impl Waiting {
    fn push(&mut self, class: Class, line: Vec<u8>) {
        if line.len() > MOST_BYTES {
            return self.lose(class);
        }
        while self.bytes.saturating_add(line.len()) > MOST_BYTES {
            // The first lines tell how it began.
            let newest = self.lines.iter().rposition(|(class, _)| *class == Class::Log);
            let makes_room = newest.filter(|_| class == Class::Alert).and_then(|newest| self.lines.remove(newest));
            match makes_room {
                Some((_, removed)) => {
                    self.bytes -= removed.len();
                    self.lose(Class::Log);
                }
                None => return self.lose(class),
            }
        }
        self.bytes += line.len();
        self.lines.push_back((class, line));
    }

    fn pop(&mut self) -> Option<(Class, Vec<u8>)> {
        let (class, line) = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some((class, line))
    }

    fn lose(&mut self, class: Class) {
        let count = match class {
            Class::Log => &mut self.lost.log,
            Class::Alert => &mut self.lost.alerts,
        };
        *count = count.saturating_add(1);
    }
}

/// What its writer does next.
enum Next {
    Write(Class, Vec<u8>),
    Tell(Lost),
}

impl Stderr {
    /// Begins to write to the standard error of this process, for the log, for the alerts and for a panic. `tell` is called
    /// with what was left out, once standard error takes lines again.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn of_this_process(tell: impl Fn(Lost) + Send + 'static) -> io::Result<Self> {
        let stderr = Self::start(Output::stderr()?, tell)?;
        if OF_THIS_PROCESS.set(stderr.clone()).is_ok() {
            // The usual hook would wait for a reader before the process may end.
            std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
        }
        Ok(stderr)
    }

    fn start(stream: Output, tell: impl Fn(Lost) + Send + 'static) -> io::Result<Self> {
        let (filled, emptied) = (Condvar::new(), Condvar::new());
        let stderr = Self(Arc::new(Shared { waiting: Mutex::default(), filled, emptied }));
        let shared = Arc::clone(&stderr.0);
        thread::Builder::new().name("stderr".to_owned()).spawn(move || shared.write_to(&stream, &tell))?;
        Ok(stderr)
    }

    /// Writes an alert: one line, to which the newline is added.
    pub fn alert(&self, line: &[u8]) {
        self.push(Class::Alert, [line, b"\n"].concat());
    }

    fn push(&self, class: Class, line: Vec<u8>) {
        self.0.lock().push(class, line);
        self.0.filled.notify_one();
    }

    /// Waits until all is written, but no longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        // What is left after that, nobody reads.
        let _ = self.0.emptied.wait_timeout_while(self.0.lock(), patience, is_busy);
    }

    /// Where the log is written: one line for each call of `write_all`.
    pub fn log(&self) -> Log {
        Log(self.clone())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is left half done where a panic could be.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, stream: &Output, tell: &impl Fn(Lost)) {
        loop {
            match self.next() {
                Next::Write(class, line) => {
                    let written = stream.write_all(&line);
                    let mut waiting = self.lock();
                    (waiting.is_writing, waiting.is_broken) = (false, written.is_err());
                    if written.is_err() {
                        waiting.lose(class);
                    }
                }
                Next::Tell(lost) => tell(lost),
            }
        }
    }

    fn next(&self) -> Next {
        let mut waiting = self.lock();
        loop {
            if let Some((class, line)) = waiting.pop() {
                waiting.is_writing = true;
                return Next::Write(class, line);
            }
            // While nothing can be written, nobody would hear it.
            if waiting.lost != Lost::default() && !waiting.is_broken {
                return Next::Tell(std::mem::take(&mut waiting.lost));
            }
            self.emptied.notify_all();
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The log's way to standard error.
pub struct Log(Stderr);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(Class::Log, line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to standard error that is among the last of this process: once it has a writer, for no longer than a second.
pub fn say(text: &str) {
    match OF_THIS_PROCESS.get() {
        Some(stderr) => {
            stderr.push(Class::Log, format!("{text}\n").into_bytes());
            stderr.flush(LAST);
        }
        None => {
            // Nobody is left to be told that nobody can be told.
            let _ = Output::stderr().and_then(|output| output.write_all(format!("{text}\n").as_bytes()));
        }
    }
}

/// Gives what was written last a second to get out, before the process ends.
pub fn end() {
    if let Some(stderr) = OF_THIS_PROCESS.get() {
        stderr.flush(LAST);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Standard error that is a pipe, and what is told of it.
    fn piped() -> (Stderr, PipeReader, mpsc::Receiver<Lost>) {
        let (reader, writer) = pipe().unwrap();
        let (tell, told) = mpsc::channel();
        (Stderr::start(writer.into(), move |lost| tell.send(lost).unwrap_or_default()).unwrap(), reader, told)
    }

    /// A line of the log of a kilobyte with this number.
    fn line(number: usize) -> Vec<u8> {
        format!("{number:01023}\n").into_bytes()
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_left_out_is_told_once_it_reads() {
        let (stderr, reader, told) = piped();
        for number in 0..1_000 {
            stderr.log().write_all(&line(number)).unwrap();
        }
        stderr.alert(b"an alert");
        // The pipe holds 64 KiB, and 256 KiB wait.
        stderr.flush(Duration::from_millis(50));
        assert!(told.try_recv().is_err(), "nobody has read anything");
        let lines = BufReader::new(reader.try_clone().unwrap()).lines().map(Result::unwrap);
        let shown: Vec<usize> = lines.take_while(|line| line != "an alert").map(|line| line.parse().unwrap()).collect();
        // 256 of them wait at least, of which the alert takes the room of one where the writer has not begun by then.
        assert!(shown.iter().copied().take(255).eq(0..255), "the first lines tell how it began");
        assert!(shown.is_sorted(), "{shown:?}");
        let shown = shown.len() as u64;
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Lost { log: 1_000 - shown, alerts: 0 });
        assert!(shown < 500, "{shown}");
        stderr.flush(PATIENCE);
        assert!(told.try_recv().is_err(), "it is told once");
    }

    #[test]
    fn an_alert_takes_the_room_of_the_log_and_the_log_never_that_of_an_alert() {
        let mut waiting = Waiting::default();
        let alerts = MOST_BYTES / 1_024 / 2;
        (0..alerts).for_each(|number| waiting.push(Class::Alert, line(number)));
        (0..alerts).for_each(|number| waiting.push(Class::Log, line(number)));
        waiting.push(Class::Log, line(0));
        assert_eq!(waiting.lost, Lost { log: 1, alerts: 0 });
        (0..alerts).for_each(|number| waiting.push(Class::Alert, line(number)));
        assert_eq!(waiting.lost, Lost { log: 1 + alerts as u64, alerts: 0 });
        waiting.push(Class::Alert, line(0));
        assert_eq!(waiting.lost.alerts, 1);
        assert!(waiting.lines.iter().all(|(class, _)| *class == Class::Alert));
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn a_line_that_is_larger_than_all_the_room_is_left_out() {
        let mut waiting = Waiting::default();
        waiting.push(Class::Log, line(1));
        waiting.push(Class::Alert, vec![b'x'; MOST_BYTES + 1]);
        assert_eq!((waiting.lost, waiting.lines.len()), (Lost { log: 0, alerts: 1 }, 1));
    }

    #[test]
    fn a_reader_that_is_gone_keeps_nobody_busy() {
        let (stderr, reader, told) = piped();
        drop(reader);
        for number in 0..10 {
            stderr.log().write_all(&line(number)).unwrap();
        }
        stderr.flush(PATIENCE);
        let waiting = stderr.0.lock();
        assert_eq!((waiting.lost.log, waiting.lines.len(), waiting.is_broken), (10, 0, true));
        assert!(told.try_recv().is_err(), "there is nobody to be told");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_that_somebody_made_one_that_does_not_wait_is_waited_for() {
        #[cfg(unix)]
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let (reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let stderr = Stderr::start(writer.into(), |_| {}).unwrap();
        for number in 0..200 {
            stderr.log().write_all(&line(number)).unwrap();
        }
        let lines = BufReader::new(reader).lines().take(200);
        assert!(lines.map(|line| line.unwrap().parse::<usize>().unwrap()).eq(0..200));
        stderr.flush(PATIENCE);
        assert_eq!(stderr.0.lock().lost, Lost::default());
    }
}
