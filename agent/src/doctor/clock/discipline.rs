//! Who keeps the clock of this host, and whether that really works.

use super::daemon::{Daemon, TIMESYNCD_SYNCHRONIZED};
use super::facts::Facts;
use super::keeper::Keeper;
use super::mend;
use super::program::Program;
use super::tracking::Tracking;
use crate::doctor::report::{Area, Check};
use crate::snapshot::Kernel;
use crate::time::{Offset, Span, TrueTime, humane, humane_offset};

const DISCIPLINE: &str = "clock-discipline";
const DAEMONS: &str = "clock-daemons";
const KERNEL: &str = "clock-kernel";

/// A daemon that runs for less has not had the time to find the truth: chronyd needs seconds, ntpd some minutes.
const SETTLING: Span = Span::from_nanos(10 * 60 * 1_000_000_000);
const CHRONYD_SETTLING: Span = Span::from_nanos(60 * 1_000_000_000);
/// chronyd that has heard its reference for this long no more, and for so many of its intervals, follows it no more.
const SILENT: Span = Span::from_nanos(3 * 3_600 * 1_000_000_000);
const SILENT_INTERVALS: f64 = 8.0;
/// The bound of the kernel grows by half a millisecond a second: below this, somebody told it something within half an hour.
const RECENT_SECONDS: f64 = 1.0;
/// From here the kernel itself says that nobody synchronizes its clock (`NTP_PHASE_LIMIT`).
const PHASE_LIMIT_SECONDS: f64 = 16.0;

const DRIFTS: &str = "left to itself a clock drifts by seconds a day and stays wrong after a resume or a manual change, until \
    AWS rejects requests";

/// Judges who keeps the clock. `now` is the best that is known of the time.
pub fn keeper(facts: &Facts, kernel: Option<&Kernel>, now: Option<TrueTime>) -> Keeper {
    let says_synchronized = kernel.map(is_synchronized);
    let tracking = facts.tracking.as_ref().and_then(|tracking| tracking.as_ref().ok());
    let Some(daemon) = facts.seen.keeper() else {
        return match (facts.seen.hidden, tracking) {
            (Some(_), Some(tracking)) => tracked(facts, tracking, None, now),
            (Some(_), None) if says_synchronized == Some(true) => Keeper::Outside,
            (Some(why), None) => Keeper::Unknown(why),
            (None, _) if kernel.is_some_and(|kernel| is_synchronized(kernel) && is_within(kernel, RECENT_SECONDS)) => {
                Keeper::Unknown(
                    "no time daemon runs that the doctor knows, yet within half an hour somebody told the kernel that the \
                     clock is synchronized: a daemon that has ended since, or one of another kind",
                )
            }
            (None, _) => Keeper::Nobody,
        };
    };
    if let Some(tracking) = tracking.filter(|_| daemon.program == Program::Chronyd) {
        return tracked(facts, tracking, daemon.age, now);
    }
    let names_nobody =
        facts.followed.as_ref().is_some_and(|followed| followed.is_complete() && followed.references.is_empty());
    // The fall-back servers of timesyncd are built in.
    if names_nobody
        && daemon.program != Program::Timesyncd
        && !matches!(daemon.program, Program::Phc2sys | Program::Ptp4l)
    {
        return Keeper::Adrift { program: daemon.program, why: "its configuration names no source".to_owned() };
    }
    let is_judged_by_kernel = daemon.program != Program::Chronyd && daemon.tells_kernel;
    match says_synchronized {
        Some(false) if is_judged_by_kernel => match daemon.age.filter(|age| *age < SETTLING) {
            Some(age) => Keeper::Starting(daemon.program, age),
            None => Keeper::Adrift {
                program: daemon.program,
                why: match daemon.program {
                    Program::Timesyncd if !facts.seen.has_trace(TIMESYNCD_SYNCHRONIZED) => {
                        "it has not reached a server since the host was booted"
                    }
                    _ => "the kernel says that nobody has synchronized the clock lately",
                }
                .to_owned(),
            },
        },
        _ => Keeper::Kept(daemon.program),
    }
}

/// What chronyd's own account means.
fn tracked(facts: &Facts, tracking: &Tracking, age: Option<Span>, now: Option<TrueTime>) -> Keeper {
    let program = Program::Chronyd;
    if !tracking.follows_somebody() {
        if let Some(age) = age.filter(|age| *age < CHRONYD_SETTLING) {
            return Keeper::Starting(program, age);
        }
        let sources = match &facts.followed {
            Some(followed) if followed.is_complete() && followed.references.is_empty() => {
                "its configuration names no source".to_owned()
            }
            Some(followed) if !followed.references.is_empty() => {
                format!("none of its sources is usable ({})", followed.names())
            }
            _ => "it has no usable source".to_owned(),
        };
        let own = if tracking.is_its_own() { ", and it passes its own clock off as right (`local`)" } else { "" };
        return Keeper::Adrift { program, why: format!("{sources}{own}") };
    }
    let silence = now.map(|now| now.since(TrueTime::from_nanos(tracking.reference_time.nanos())));
    let patience = SILENT.max(Span::from_seconds(tracking.update_interval * SILENT_INTERVALS));
    match silence {
        Some(silence) if silence > patience => Keeper::Adrift {
            program,
            why: format!("it has heard nothing from {} for {}", tracking.reference_name(), humane(silence)),
        },
        _ => Keeper::Kept(program),
    }
}

/// Who keeps the clock, and whether that works.
pub(super) fn check(facts: &Facts, keeper: &Keeper, kernel: Option<&Kernel>) -> Check {
    let check = match keeper {
        Keeper::Kept(_) | Keeper::Outside => Check::ok(Area::Clock, DISCIPLINE, keeper.describe()),
        Keeper::Starting(..) | Keeper::Unknown(_) => Check::skipped(Area::Clock, DISCIPLINE, keeper.describe()),
        Keeper::Adrift { .. } | Keeper::Nobody => {
            Check::warning(Area::Clock, DISCIPLINE, keeper.describe(), DRIFTS, mend::keep(facts, keeper))
        }
    };
    check.with_evidence(evidence(facts, kernel))
}

/// The facts by which the keeper was judged.
fn evidence(facts: &Facts, kernel: Option<&Kernel>) -> Vec<String> {
    let mut lines: Vec<String> = facts.seen.daemons.iter().map(describe).collect();
    lines.extend(facts.seen.disbelieved.iter().map(ToString::to_string));
    if facts.seen.hidden.is_some() {
        lines.extend(facts.seen.traces.iter().map(|path| format!("there is {}", path.display())));
    }
    lines.extend(facts.tracking.as_ref().map(|tracking| match tracking {
        Ok(tracking) => format!("chronyd: {}", in_words(tracking)),
        Err(unheard) => format!("chronyd could not be asked for its tracking: {unheard}"),
    }));
    if let Some(followed) = &facts.followed {
        let files: Vec<String> = followed.files.iter().map(|path| path.display().to_string()).collect();
        let names = if followed.references.is_empty() { "no source".to_owned() } else { followed.names() };
        lines.push(format!("configured ({}): {names}", files.join(", ")));
        lines.extend(followed.unread.iter().map(|unread| format!("not read: {unread}")));
    }
    lines.extend(kernel.map(kernel_in_words));
    lines
}

fn describe(daemon: &Daemon) -> String {
    let may = match (daemon.may_set_clock, daemon.leaves_clock_alone) {
        (false, _) => "may not set the clock (no CAP_SYS_TIME)",
        (true, true) => "was told to leave the clock alone",
        (true, false) => "sets the clock",
    };
    format!("{} (process {}) {may}", daemon.program.name(), daemon.pid)
}

fn in_words(tracking: &Tracking) -> String {
    if !tracking.follows_somebody() {
        return "it says that it is not synchronized with anybody".to_owned();
    }
    format!(
        "it follows {} at stratum {}, and takes the clock to be {}",
        tracking.reference_name(),
        tracking.stratum,
        humane_offset(Offset::new(Span::from_seconds(tracking.correction)))
    )
}

fn kernel_in_words(kernel: &Kernel) -> String {
    let state = if kernel.synchronized { "synchronized" } else { "not synchronized" };
    let bound = kernel.max_error_seconds.map(|most| format!(", wrong by {} at most", humane(Span::from_seconds(most))));
    format!(
        "the kernel says: {state}{}, frequency corrected by {:.3} ppm",
        bound.unwrap_or_default(),
        kernel.frequency_ppm
    )
}

fn is_synchronized(kernel: &Kernel) -> bool {
    kernel.synchronized && is_within(kernel, PHASE_LIMIT_SECONDS)
}

/// Whether the kernel says that its clock is wrong by less.
fn is_within(kernel: &Kernel, seconds: f64) -> bool {
    kernel.max_error_seconds.is_some_and(|most| most < seconds)
}

/// Whether more than one daemon sets the clock.
pub(super) fn check_daemons(facts: &Facts) -> Check {
    let mut programs: Vec<Program> =
        facts.seen.daemons.iter().filter(|daemon| daemon.sets_clock()).map(|daemon| daemon.program).collect();
    programs.dedup();
    let evidence = facts.seen.daemons.iter().map(describe);
    let evidence = evidence.chain(facts.seen.disbelieved.iter().map(ToString::to_string));
    let names: Vec<&str> = programs.iter().copied().map(Program::name).collect();
    let check = match programs.as_slice() {
        [] => Check::skipped(Area::Clock, DAEMONS, "no time daemon can be seen that sets the clock"),
        [only] => Check::ok(Area::Clock, DAEMONS, format!("{} alone sets the clock", only.name())),
        [kept, others @ ..] => Check::warning(
            Area::Clock,
            DAEMONS,
            format!("{} set the clock at the same time", names.join(" and ")),
            "each undoes what the other does, so that the clock may be wrong although both run",
            mend::keep_one(facts, *kept, others),
        ),
    };
    check.with_evidence(evidence)
}

/// What the kernel says, where nothing above says why already.
pub(super) fn check_kernel(facts: &Facts, keeper: &Keeper, kernel: Option<&Kernel>, is_clock_wrong: bool) -> Check {
    let Some(kernel) = kernel else {
        return Check::skipped(Area::Clock, KERNEL, "the kernel may not be asked here (adjtimex is forbidden)");
    };
    let follows =
        |what: &str| Check::skipped(Area::Clock, KERNEL, format!("not synchronized, which follows from {what}"));
    let check = match keeper {
        _ if is_synchronized(kernel) => {
            Check::ok(Area::Clock, KERNEL, "the kernel says that the clock is synchronized")
        }
        Keeper::Kept(program) if !facts.tells_kernel => Check::ok(
            Area::Clock,
            KERNEL,
            format!("{} does not tell the kernel that the clock is synchronized", program.name()),
        ),
        Keeper::Kept(_) if facts.tracking.as_ref().is_some_and(Result::is_ok) => {
            Check::ok(Area::Clock, KERNEL, "chronyd is synchronized and tells the kernel with its next update")
        }
        Keeper::Kept(_) if is_clock_wrong => follows("clock-offset"),
        Keeper::Kept(program)
            if facts.seen.keeper().and_then(|daemon| daemon.age).is_some_and(|age| age >= SETTLING) =>
        {
            Check::warning(
                Area::Clock,
                KERNEL,
                format!("the kernel says that nobody synchronizes the clock although {} runs", program.name()),
                DRIFTS,
                mend::look_after(facts, *program),
            )
        }
        Keeper::Kept(_) | Keeper::Outside | Keeper::Starting(..) | Keeper::Unknown(_) => Check::skipped(
            Area::Clock,
            KERNEL,
            "not synchronized as yet, or told to by somebody who cannot be seen from here",
        ),
        Keeper::Adrift { .. } | Keeper::Nobody => follows(DISCIPLINE),
    };
    check.with_evidence([kernel_in_words(kernel)])
}
