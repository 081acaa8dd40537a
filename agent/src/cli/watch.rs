//! `status --watch`: one host, looked at, once a second.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::exit::UNAVAILABLE;
use super::text::{Paint, answer, offset, render_parts, seconds};
use crate::snapshot::{Past, Snapshot};
use crate::status::{AskError, ask};
use crate::sys::{Ending, Keys, RawTerminal, terminal_size};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Of the plot, in lines.
const HEIGHT: usize = 7;
/// Of a terminal that does not say how large it is.
const USUAL: (usize, usize) = (80, 24);
/// Another screen, so that the one of before comes back; and without a cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const ESCAPE: u8 = 0x1b;
/// `q`, and what ends a program or its input.
const ENDS: [u8; 4] = [b'q', b'Q', 0x03, 0x04];
/// To the upper left. Lines are cleared as they are written, which flickers less than clearing all.
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_REST: &str = "\u{1b}[J";

/// Shows what the agent knows until `q`, the end of the input or a signal; returns the exit code of what was seen last.
pub(super) async fn watch(socket: &Path) -> anyhow::Result<u8> {
    anyhow::ensure!(
        io::stdin().is_terminal() && io::stdout().is_terminal(),
        "--watch needs a terminal: without it, `skewguard status` tells once"
    );
    let mut ending = Ending::of_terminal()?;
    let mut keys = Keys::listen()?;
    let _screen = Screen::enter()?;
    loop {
        let seen = ask(socket).await;
        answer(&frame(&seen, size(), Paint::of_stdout()))?;
        let is_over = tokio::select! {
            () = sleep(PERIOD) => false,
            pressed = keys.pressed() => is_end(&pressed?),
            () = ending.came() => true,
        };
        if is_over {
            return Ok(seen.map_or(UNAVAILABLE, |snapshot| snapshot.status.exit_code()));
        }
    }
}

/// Another screen, on which what is pressed is not shown, until it is dropped.
struct Screen {
    _raw: RawTerminal,
}

impl Screen {
    fn enter() -> anyhow::Result<Self> {
        let screen = Self { _raw: RawTerminal::enter()? };
        answer(ENTER)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = answer(LEAVE);
    }
}

/// Whether what was pressed ends it: `q`, Escape, or what interrupts elsewhere. Other keys may begin as Escape does.
fn is_end(pressed: &[u8]) -> bool {
    match pressed {
        // A terminal that is gone has nothing.
        [] | [ESCAPE] => true,
        [ESCAPE, ..] => false,
        pressed => pressed.iter().any(|key| ENDS.contains(key)),
    }
}

/// Columns and lines.
fn size() -> (usize, usize) {
    let of = |name: &str| super::input::env(name).and_then(|text| text.parse().ok()).filter(|size| *size > 0);
    terminal_size().unwrap_or((of("COLUMNS").unwrap_or(USUAL.0), of("LINES").unwrap_or(USUAL.1)))
}

/// One screen: as many of the lines as there is room for, the most important first.
fn frame(seen: &Result<Snapshot, AskError>, (columns, lines): (usize, usize), paint: Paint) -> String {
    let all = match seen {
        Ok(snapshot) => screen(snapshot, columns, paint),
        Err(error) => vec![format!("{error}"), String::new(), "trying on".to_owned()],
    };
    let room = lines.saturating_sub(1);
    let mut text = HOME.to_owned();
    for line in all.iter().take(room) {
        text += &format!("{}{CLEAR_LINE}\n", cut(line, columns));
    }
    let left = all.len().saturating_sub(room);
    let more = if left > 0 { format!(", {left} lines have no room") } else { String::new() };
    text += &format!("{}{CLEAR_LINE}{CLEAR_REST}", paint.faint(&cut(&format!("q ends it{more}"), columns)));
    text
}

fn screen(snapshot: &Snapshot, columns: usize, paint: Paint) -> Vec<String> {
    let (headline, rest) = render_parts(snapshot, paint);
    let mut lines = vec![headline, String::new()];
    lines.extend(plot(snapshot, columns));
    lines.extend(rest);
    lines
}

/// The offset of the last hour, and how far it is from the first limit: a column for each minute, or more than one.
fn plot(snapshot: &Snapshot, columns: usize) -> Vec<String> {
    let clock = &snapshot.clock;
    let now = clock.offset_seconds.zip(clock.error_bound_seconds).map(|(offset_seconds, error_bound_seconds)| Past {
        ago_seconds: 0.0,
        offset_seconds,
        error_bound_seconds,
    });
    let points: Vec<Past> = clock.history.iter().copied().chain(now).collect();
    let reach = |past: &Past| past.offset_seconds.abs() + past.error_bound_seconds;
    let Some(most) = points.iter().map(reach).reduce(f64::max) else {
        return vec!["nothing is known of the clock in the last hour".to_owned()];
    };
    let limit = snapshot.limits.iter().map(|limit| limit.window_seconds).reduce(f64::min);
    // A scale that leaves room above, and has the first limit in it once it is near.
    let scale = limit.filter(|limit| most > limit / 4.0).map_or(most, |limit| most.max(limit * 1.05)).max(1e-9);
    const LABEL: usize = 12;
    let width = columns.saturating_sub(LABEL + 3).clamp(10, 60);
    let middle = HEIGHT / 2;
    // Row 0 is `scale`, the last one its negative.
    let row = |value: f64| ((1.0 - value / scale) * middle as f64).round().clamp(0.0, (HEIGHT - 1) as f64) as usize;
    let mut grid = vec![vec![' '; width]; HEIGHT];
    let mut set = |row: usize, column: usize, mark: char| {
        if let Some(cell) = grid.get_mut(row).and_then(|line| line.get_mut(column)) {
            *cell = mark;
        }
    };
    for limit in limit.into_iter().filter(|limit| *limit <= scale).flat_map(|limit| [limit, -limit]) {
        (0..width).for_each(|column| set(row(limit), column, '='));
    }
    for past in &points {
        let age = (past.ago_seconds / 3_600.0).clamp(0.0, 1.0);
        let column = ((1.0 - age) * (width - 1) as f64).round() as usize;
        let (low, high) =
            (past.offset_seconds - past.error_bound_seconds, past.offset_seconds + past.error_bound_seconds);
        (row(high)..=row(low)).for_each(|row| set(row, column, '|'));
        set(row(past.offset_seconds), column, '*');
    }
    let label = |index: usize| match index {
        0 => seconds(scale),
        _ if index == middle => "0 s".to_owned(),
        _ if index == HEIGHT - 1 => format!("-{}", seconds(scale)),
        _ => String::new(),
    };
    let mut lines = vec![format!(
        "last hour, up where it is slow; now {}{}",
        clock.offset_seconds.map_or_else(|| "not known".to_owned(), offset),
        limit.map_or_else(String::new, |limit| format!("; first limit (=) {}", seconds(limit)))
    )];
    let rows =
        grid.iter().enumerate().map(|(index, row)| format!("{:>LABEL$} |{}", label(index), String::from_iter(row)));
    lines.extend(rows);
    lines.push(format!("{:>LABEL$} -60 min{:>rest$}", "", "now", rest = width.saturating_sub(7)));
    lines
}

/// The line without what has no room. What is not seen, such as colours, takes none.
fn cut(line: &str, columns: usize) -> String {
    let (mut text, mut seen, mut is_escape) = (String::new(), 0, false);
    for c in line.chars() {
        is_escape |= c == '\u{1b}';
        if !is_escape {
            seen += 1;
        }
        if is_escape || seen <= columns {
            text.push(c);
        }
        is_escape &= c != 'm';
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::local;
    use crate::config::load::parse;
    use crate::engine::Engine;

    const PLAIN: Paint = Paint { has_colour: false };

    fn snapshot(past: impl Fn(f64) -> f64) -> Snapshot {
        let config = parse("sources: [{ name: a, ntp: 127.0.0.1 }]", Path::new("a.yaml"), &|_| None).unwrap();
        let now = local::read();
        let mut snapshot = Engine::new(Arc::new(config), now).snapshot(now);
        let minutes = (1..60).rev().map(|minute| f64::from(minute) * 60.0);
        snapshot.clock.history = minutes
            .map(|ago_seconds| Past { ago_seconds, offset_seconds: past(ago_seconds), error_bound_seconds: 1e-4 })
            .collect();
        snapshot.clock.offset_seconds = Some(past(0.0));
        snapshot.clock.error_bound_seconds = Some(1e-4);
        snapshot
    }

    fn shown(snapshot: Snapshot, size: (usize, usize)) -> Vec<String> {
        let frame = frame(&Ok(snapshot), size, PLAIN);
        let lines = frame.strip_prefix(HOME).unwrap().split('\n');
        lines.map(|line| line.replace(CLEAR_LINE, "").replace(CLEAR_REST, "")).collect()
    }

    #[test]
    fn a_screen_of_any_size_holds_what_is_shown_and_says_what_it_does_not() {
        for (columns, lines) in [(80, 24), (40, 10), (20, 3), (200, 60), (1, 1), (0, 0)] {
            let shown = shown(snapshot(|ago| ago * 1e-6), (columns, lines));
            assert!(shown.len() <= lines.max(1), "{columns}x{lines}: {shown:?}");
            assert!(shown.iter().all(|line| line.chars().count() <= columns), "{columns}x{lines}: {shown:?}");
            if lines == 10 {
                assert!(shown[9].contains("lines have no room"), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_clock_that_runs_away_goes_up_to_the_limit_from_the_left_to_the_right() {
        let shown = shown(snapshot(|ago| 230.0 * (1.0 - ago / 3_600.0)), (80, 24));
        let rows: Vec<&String> = shown.iter().filter(|line| line.contains(" |")).collect();
        assert_eq!(rows.len(), HEIGHT, "{shown:#?}");
        assert!(rows[0].contains('='), "the limit of 240 s: {rows:#?}");
        let columns: Vec<usize> = rows.iter().rev().filter_map(|row| row.rfind('*')).collect();
        assert!(columns.len() >= 3 && columns.is_sorted(), "{rows:#?}");
        assert!(shown.iter().any(|line| line.contains("first limit (=) 240 s")), "{shown:#?}");
    }

    #[test]
    fn a_clock_that_is_right_is_far_from_any_limit_and_one_of_which_nothing_is_known_has_no_plot() {
        let shown_right = shown(snapshot(|_| 1e-4), (80, 24));
        assert!(!shown_right.iter().any(|line| line.contains("|==")), "{shown_right:#?}");
        let mut unknown = snapshot(|_| 0.0);
        unknown.clock.history.clear();
        unknown.clock.offset_seconds = None;
        assert!(shown(unknown, (80, 24)).iter().any(|line| line.contains("nothing is known")));
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(cut("\u{1b}[31mabc\u{1b}[0mdef", 4), "\u{1b}[31mabc\u{1b}[0md");
        assert_eq!(cut("abc", 0), "");
    }
}
