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
    let source = wide(NAME);
    // SAFETY: the name ends with a zero.
    let handle = *HANDLE_OF_SOURCE.get_or_init(|| unsafe { RegisterEventSourceW(null(), source.as_ptr()) } as usize);
    let text: String = event.text.chars().map(|c| if c == '\0' { ' ' } else { c }).take(LONGEST).collect();
    let text = wide(text);
    let texts = [text.as_ptr()];
    let level = match event.level {
        EventLevel::Information => EVENTLOG_INFORMATION_TYPE,
        EventLevel::Warning => EVENTLOG_WARNING_TYPE,
        EventLevel::Error => EVENTLOG_ERROR_TYPE,
    };
    // SAFETY: there is one text, which ends with a zero, and no data; a handle of zero is refused.
    unsafe { ReportEventW(handle as HANDLE, level, 0, event.id.into(), null_mut(), 1, 0, texts.as_ptr(), null()) };
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
