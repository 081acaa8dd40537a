//! The event log of Windows, beside the lines of JSON.

use std::io;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

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

/// The handle of the source, as a number: it belongs to the process.
static HANDLE_OF_SOURCE: OnceLock<usize> = OnceLock::new();

/// Writes an event, where this is the service. That it could not be written is told to nobody: the lines of JSON have it.
#[expect(unsafe_code, reason = "calls of Windows")]
pub fn report(event: &Event<'_>) {
    if !is_service() {
        return;
    }
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
    use super::*;

    #[test]
    fn a_text_is_shown_as_it_is_but_for_what_the_viewer_would_put_elsewhere() {
        assert_eq!(shown("https://a/b%20c 100 % %"), "https://a/b% 20c 100 % %");
        assert_eq!(shown("a\0b"), "a b");
        let long = shown(&"\u{1f550}".repeat(40_000));
        assert!(long.encode_utf16().count() <= LONGEST);
    }
}
