//! Invented hosts with Windows in full, and what the doctor must and must not find on each.

mod adopted;
mod host;
mod hostile;
mod time;
mod ways;

use self::host::{Host, ec2, facts, found, judged, member, printed, well};
use super::around::Around;
use crate::doctor::report::Verdict;

/// A host, what is known of it, what must be found, and pieces of what is printed.
pub(super) struct Scene {
    name: &'static str,
    host: Host,
    around: Around,
    found: Vec<(&'static str, Verdict)>,
    printed: Vec<&'static str>,
}

impl Scene {
    fn new(name: &'static str, host: Host, found: &[&'static str], printed: &[&'static str]) -> Self {
        let found = found.iter().map(|name| (*name, Verdict::Warning)).collect();
        Self { name, host, around: well(), found, printed: printed.to_vec() }
    }

    fn around(self, around: Around) -> Self {
        Self { around, ..self }
    }

    fn with_problem(mut self, at: usize) -> Self {
        self.found[at].1 = Verdict::Problem;
        self
    }
}

/// All of them in which something is wrong.
fn scenes() -> Vec<Scene> {
    time::scenes().into_iter().chain(ways::scenes()).collect()
}

#[test]
fn nothing_is_found_on_hosts_that_are_in_order() {
    for (name, host, around) in [
        ("an image of AWS", ec2(), well()),
        ("a member of a domain", member(), well()),
        ("a machine that is not of AWS", member(), Around { is_ec2: false, ..well() }),
        ("the metadata service was not asked", ec2(), Around { is_imds_reached: None, ..well() }),
        ("a Windows of which nothing is known", Host::default().service_only(), well()),
        ("nothing may be looked at", ec2().locked(), well()),
    ]
    .into_iter()
    .chain(time::in_order())
    .chain(ways::in_order())
    {
        let checks = judged(&host, &around);
        assert_eq!(found(&checks), [], "{name}:\n{}", printed(&checks));
    }
}

#[test]
fn every_check_of_an_image_of_aws_is_well() {
    let checks = judged(&ec2(), &well());
    assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{}", printed(&checks));
    let facts = facts(&ec2());
    assert!(facts.is_ec2 && facts.unread.is_empty(), "{:?}", facts.unread);
    let expected = "\
OK  0 problems, 0 warnings, 13 well, 0 skipped

ok       clock-w32time: the Windows Time service keeps this clock
                 service W32Time: start is automatic, running
ok       clock-w32time-servers: it asks 169.254.169.123
                 NtpServer: 169.254.169.123,0x9
                 servers with flag 0x1 are asked every 15 min (SpecialPollInterval is 900)
ok       clock-w32time-sync: the Windows Time service follows 169.254.169.123,0x9
                 w32tm: leap indicator 0, stratum 4, last error 0, source 169.254.169.123,0x9
                 last in step 280 s ago
ok       clock-w32time-limits: the Windows Time service corrects a clock that is off by hours
                 MaxPosPhaseCorrection is 54000 s (15.0 h)
                 MaxNegPhaseCorrection is 54000 s (15.0 h)
                 up to 1 s it slews and does not set (MaxAllowedPhaseOffset)
ok       clock-w32time-seeding: no time is taken from TLS (Secure Time Seeding)
ok       clock-w32time-policy: no policy says anything of the Windows Time service
ok       clock-hypervisor: no hypervisor sets this clock
                 VMICTimeProvider is enabled
ok       clock-rtc: the hardware clock is taken to be in UTC
                 time zone: UTC
ok       clock-route: the way to Amazon Time Sync leads out of this machine
                 route 169.254.169.123/32 by 10.0.2.1 of Ethernet 2 is taken
                 interface 5 (Ethernet 2): 10.0.2.15/24, gateway 10.0.2.1
                 EC2Launch v2 sets routes at each boot, which do not outlive it
ok       imds-route: the way to the metadata service leads out of this machine
                 route 169.254.169.254/32 by 10.0.2.1 of Ethernet 2 is taken
                 interface 5 (Ethernet 2): 10.0.2.15/24, gateway 10.0.2.1
                 EC2Launch v2 sets routes at each boot, which do not outlive it
ok       imds-proxy-windows: Windows names no proxy
ok       credentials-environments: the variables of the machine and of this user do not contradict
ok       credentials-stores: no profile stands in two stores
";
    assert_eq!(printed(&checks), expected);
}

#[test]
fn each_fault_is_found_with_its_evidence_and_its_remedy_and_nothing_else_is() {
    for Scene { name, host, around, found: expected, printed: pieces } in scenes() {
        let checks = judged(&host, &around);
        let text = printed(&checks);
        assert_eq!(found(&checks), expected, "{name}:\n{text}");
        for piece in pieces {
            assert!(text.contains(piece), "{name}: {piece}\nis not in\n{text}");
        }
    }
}

#[test]
fn there_is_a_scene_for_each_check() {
    let all = judged(&ec2(), &well());
    let found: Vec<&str> = scenes().iter().flat_map(|scene| scene.found.iter().map(|(name, _)| *name)).collect();
    for check in all.iter().filter(|check| check.name != "clock-w32time-policy") {
        assert!(found.contains(&check.name.as_str()), "{}", check.name);
    }
}
