//! The event log of Windows, beside the lines of JSON.

use std::io;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::EventLog::{
    EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW, ReportEventW,
};

use super::standing::{NAME, is_service};
use super::wide::wide;
use crate::sys::{Event, EventLevel};

/// What the texts are made with: a program of Windows whose own have one place, for the text itself, under each number to 1000.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
const SOURCES: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application";
/// A text may have so many characters (ReportEventW); what is longer is in the log as well.
const LONGEST: usize = 31_000;
/// So many events wait at most for a service of events that takes none: each is a text of some kilobytes.
const MOST: usize = 64;
/// How long the end of the process waits for what was told last.
const LAST: Duration = Duration::from_secs(1);
/// The number of the event that tells of those that were left out.
const LEFT_OUT: u16 = 12;

/// The events of this process.
static OF_THIS_PROCESS: LazyLock<Option<Events>> = LazyLock::new(|| Events::start(write).ok());
/// The handle of the source, as a number: it belongs to the process.
static HANDLE_OF_SOURCE: OnceLock<usize> = OnceLock::new();

/// Writes an event, where this is the service, and returns at once. That it could not be written is told to nobody: the lines
/// of JSON have it.
pub fn report(event: &Event<'_>) {
    if is_service()
        && let Some(events) = &*OF_THIS_PROCESS
    {
        events.push(event);
    }
}

/// Gives what was told last a second to be written, before the process ends.
pub(super) fn end() {
    if is_service()
        && let Some(events) = &*OF_THIS_PROCESS
    {
        events.flush(LAST);
    }
}

/// The way to the service of events, which may keep whoever asks it waiting. The agent has one thread, so it leaves the waiting
/// to another. What does not fit meanwhile is left out, counted, and told of.
struct Events {
    to: SyncSender<Waiting>,
    lost: Arc<AtomicU64>,
}

/// What waits for the thread.
enum Waiting {
    Event {
        level: EventLevel,
        id: u16,
        text: String,
    },
    /// All before it was written.
    End(SyncSender<()>),
}

impl Events {
    fn start(write: impl Fn(&Event<'_>) + Send + 'static) -> io::Result<Self> {
        let (to, waiting) = sync_channel(MOST);
        let lost = Arc::new(AtomicU64::new(0));
        let left_out = Arc::clone(&lost);
        thread::Builder::new().name("events".to_owned()).spawn(move || write_all(&waiting, &left_out, write))?;
        Ok(Self { to, lost })
    }

    fn push(&self, event: &Event<'_>) {
        let Event { level, id, text } = *event;
        if self.to.try_send(Waiting::Event { level, id, text: text.to_owned() }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written, but no longer than `patience`.
    fn flush(&self, patience: Duration) {
        let (done, all_written) = sync_channel(1);
        if self.to.try_send(Waiting::End(done)).is_ok() {
            // What is left after that, the service does not take.
            let _ = all_written.recv_timeout(patience);
        }
    }
}

fn write_all(waiting: &Receiver<Waiting>, lost: &AtomicU64, write: impl Fn(&Event<'_>)) {
    while let Ok(next) = waiting.recv() {
        match next {
            Waiting::Event { level, id, text } => write(&Event { level, id, text: &text }),
            // Whoever waited for it may have given up.
            Waiting::End(done) => done.try_send(()).unwrap_or_default(),
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let text =
                format!("{count} events were left out while the event log took none; the log of the service has them");
            write(&Event { level: EventLevel::Warning, id: LEFT_OUT, text: &text });
        }
    }
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn write(event: &Event<'_>) {
    let Some(handle) = source() else { return };
    let text = wide(shown(event.text));
    let texts = [text.as_ptr()];
    let level = match event.level {
        EventLevel::Information => EVENTLOG_INFORMATION_TYPE,
        EventLevel::Warning => EVENTLOG_WARNING_TYPE,
        EventLevel::Error => EVENTLOG_ERROR_TYPE,
    };
    // SAFETY: there is one text, which ends with a zero, and no data; a handle of zero is refused.
    unsafe { ReportEventW(handle as HANDLE, level, 0, event.id.into(), null_mut(), 1, 0, texts.as_ptr(), null()) };
}

/// The handle of the source; `None` where there is none to be had now.
#[expect(unsafe_code, reason = "a call of Windows")]
fn source() -> Option<usize> {
    if let Some(known) = HANDLE_OF_SOURCE.get() {
        return Some(*known);
    }
    let name = wide(NAME);
    // SAFETY: the name ends with a zero.
    let handle = unsafe { RegisterEventSourceW(null(), name.as_ptr()) } as usize;
    (handle != 0).then(|| *HANDLE_OF_SOURCE.get_or_init(|| handle))
}

/// A text as the viewer shows it: it takes a percent sign with a digit for the place of another text, and no more than so many
/// units of UTF-16.
fn shown(text: &str) -> String {
    let (mut shown, mut units) = (String::new(), 0);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        units += c.len_utf16();
        if units > LONGEST {
            break;
        }
        shown.push(if c == '\0' { ' ' } else { c });
        if c == '%' && characters.peek().is_some_and(char::is_ascii_digit) {
            shown.push(' ');
            units += 1;
        }
    }
    shown
}

/// Registers the source, so that the viewer shows its texts.
pub(super) fn register_source() -> io::Result<()> {
    let key = windows_registry::LOCAL_MACHINE.create(format!(r"{SOURCES}\{NAME}"))?;
    key.set_expand_string("EventMessageFile", MESSAGES)?;
    // Errors, warnings and information.
    key.set_u32("TypesSupported", 7)?;
    Ok(())
}

/// Removes it.
pub(super) fn remove_source() {
    if let Ok(sources) = windows_registry::LOCAL_MACHINE.options().read().write().open(SOURCES) {
        // Another registration of it is in order.
        let _ = sources.remove_tree(NAME);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn nobody_waits_for_the_service_of_events_and_what_was_left_out_is_told_once_it_takes_some() {
        let (open, gate) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let events = Events::start(move |event: &Event<'_>| {
            // Until the gate is opened, and never again then.
            let _ = gate.recv();
            tell.send((event.id, event.text.to_owned())).unwrap_or_default();
        })
        .unwrap();
        for id in 0..200 {
            events.push(&Event { level: EventLevel::Information, id, text: "" });
        }
        // It does not take the end either: there is no room.
        events.flush(Duration::ZERO);
        assert!(told.try_recv().is_err(), "the service takes nothing");
        drop(open);
        let told: Vec<(u16, String)> = (0..MOST + 1).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
        let (others, left_out): (Vec<_>, Vec<_>) = told.into_iter().partition(|(_, text)| text.is_empty());
        assert!(others.iter().map(|(id, _)| *id).eq(0..others.len() as u16), "the first ones, in their order");
        let [(LEFT_OUT, text)] = left_out.as_slice() else { panic!("{left_out:?}") };
        // One may have been taken before the room was full, and wait at the gate.
        assert!(["135 ", "136 "].iter().any(|count| text.starts_with(count)), "{text}");
    }

    #[test]
    fn the_end_waits_for_what_was_told_last() {
        let (tell, told) = mpsc::channel();
        let events = Events::start(move |event: &Event<'_>| tell.send(event.id).unwrap_or_default()).unwrap();
        events.push(&Event { level: EventLevel::Information, id: 2, text: "it ends" });
        events.flush(PATIENCE);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_text_is_shown_as_it_is_but_for_what_the_viewer_would_put_elsewhere() {
        assert_eq!(shown("https://a/b%20c 100 % %"), "https://a/b% 20c 100 % %");
        assert_eq!(shown("a\0b"), "a b");
        let long = shown(&"\u{1f550}".repeat(40_000));
        assert!(long.encode_utf16().count() <= LONGEST);
    }
}
