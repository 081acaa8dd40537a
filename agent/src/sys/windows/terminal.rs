//! The console that somebody looks at.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT,
    ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, GetConsoleScreenBufferInfo,
    GetStdHandle, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetConsoleMode,
};

/// What is pressed on the console. Who reads a console cannot be stopped: the thread ends with the process.
pub struct Keys(mpsc::Receiver<Vec<u8>>);

impl Keys {
    /// Begins to listen.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn listen() -> io::Result<Self> {
        let (send, receive) = mpsc::channel(16);
        thread::Builder::new().name("keys".to_owned()).spawn(move || {
            let mut bytes = [0; 16];
            loop {
                let count = io::stdin().read(&mut bytes).unwrap_or(0);
                let pressed = bytes.get(..count).unwrap_or_default().to_vec();
                if send.blocking_send(pressed).is_err() || count == 0 {
                    return;
                }
            }
        })?;
        Ok(Self(receive))
    }

    /// What was pressed next; nothing where the console is gone.
    ///
    /// # Errors
    /// None.
    pub async fn pressed(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.recv().await.unwrap_or_default())
    }
}

/// The console without lines, echo and signals, and with the sequences by which a terminal is told what to do, until this is
/// dropped.
pub struct RawTerminal {
    input: u32,
    output: u32,
}

impl RawTerminal {
    /// Makes it so.
    ///
    /// # Errors
    /// It is no console.
    pub fn enter() -> io::Result<Self> {
        let before = Self { input: mode(STD_INPUT_HANDLE)?, output: mode(STD_OUTPUT_HANDLE)? };
        let lines = ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT;
        set_mode(STD_INPUT_HANDLE, before.input & !lines | ENABLE_VIRTUAL_TERMINAL_INPUT)?;
        set_mode(STD_OUTPUT_HANDLE, before.output | ENABLE_VIRTUAL_TERMINAL_PROCESSING)?;
        Ok(before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = set_mode(STD_INPUT_HANDLE, self.input);
        let _ = set_mode(STD_OUTPUT_HANDLE, self.output);
    }
}

/// The columns and lines of the console that standard output is; `None` where it is none.
#[expect(unsafe_code, reason = "a call of Windows")]
pub fn terminal_size() -> Option<(usize, usize)> {
    // SAFETY: it is plain data, for which all zeroes is a valid value.
    let mut told: CONSOLE_SCREEN_BUFFER_INFO = unsafe { std::mem::zeroed() };
    // SAFETY: one such value is written.
    if unsafe { GetConsoleScreenBufferInfo(handle(STD_OUTPUT_HANDLE), &raw mut told) } == 0 {
        return None;
    }
    let window = told.srWindow;
    let length =
        |from: i16, to: i16| usize::try_from(i32::from(to) - i32::from(from) + 1).ok().filter(|size| *size > 0);
    Some((length(window.Left, window.Right)?, length(window.Top, window.Bottom)?))
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn handle(which: u32) -> HANDLE {
    // SAFETY: it takes a number.
    unsafe { GetStdHandle(which) }
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn mode(which: u32) -> io::Result<u32> {
    let mut mode = 0;
    // SAFETY: one number is written.
    if unsafe { GetConsoleMode(handle(which), &raw mut mode) } == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(mode)
    }
}

#[expect(unsafe_code, reason = "a call of Windows")]
fn set_mode(which: u32, mode: u32) -> io::Result<()> {
    // SAFETY: it takes a number.
    if unsafe { SetConsoleMode(handle(which), mode) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
