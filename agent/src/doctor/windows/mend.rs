//! The commands that mend a host with Windows: lines for PowerShell that runs as administrator.
//!
//! The registry is written with `reg add`, because 0xFFFFFFFF is a number with a sign for one version of PowerShell and too
//! large a one for another.

/// Where the Windows Time service reads.
const W32TIME: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time";
/// Where policies for it are written, as people find them.
const POLICY: &str = r"Computer Configuration\Administrative Templates\System\Windows Time Service";

/// Has the service look for its servers again.
pub const RESYNC: &str = "w32tm /resync /rediscover";
/// Has the service follow its domain.
pub const FOLLOW_DOMAIN: &str =
    "w32tm /config /syncfromflags:domhier /update; Restart-Service w32time; w32tm /resync /rediscover";

/// Has the service start at each boot. Outside of a domain its triggers stop it right after that, whatever its start is, as long
/// as it has them.
///
/// Source: "Windows Time service doesn't start automatically on a workgroup computer" of Microsoft (2385818).
pub fn start_at_boot(is_stopped_by_triggers: bool) -> String {
    let triggers = if is_stopped_by_triggers { "sc.exe triggerinfo w32time delete; " } else { "" };
    format!("{triggers}Set-Service w32time -StartupType Automatic")
}

/// Starts it now as well.
pub fn start(is_stopped_by_triggers: bool) -> String {
    format!("{}; Start-Service w32time; {RESYNC}", start_at_boot(is_stopped_by_triggers))
}

/// Has the service follow Amazon Time Sync: by its link-local address on an instance, and else by its public name.
pub fn follow_amazon(is_ec2: bool) -> String {
    let server = if is_ec2 { "169.254.169.123" } else { "time.aws.com" };
    // The flags are those of the images of AWS: a client that asks every SpecialPollInterval.
    format!(
        "w32tm /config \"/manualpeerlist:{server},0x9\" /syncfromflags:manual /update; Restart-Service w32time; {RESYNC}"
    )
}

/// Writes a number for the service, and has it read that.
pub fn write(key: &str, name: &str, number: &str) -> String {
    format!(r"reg add {W32TIME}\{key} /v {name} /t REG_DWORD /d {number} /f; Restart-Service w32time; {RESYNC}")
}

/// Changes what a policy says: what is written into the registry of the service would count for nothing.
pub fn policy(name: &str, what: &str) -> String {
    format!(
        "`gpresult /r /scope computer` names the policies of this machine; in the one that has {POLICY}\\{name}: {what}; then \
         `gpupdate /force; {RESYNC}`"
    )
}

/// What to do for all of a domain, at the controller that all others follow.
pub fn at_the_emulator(is_ec2: bool) -> String {
    format!(
        "`netdom query fsmo` names the PDC emulator; on it `{}`, and then here `{RESYNC}`",
        follow_amazon(is_ec2).replace("/update;", "/reliable:yes /update;")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remedy_is_the_line_that_is_typed() {
        for (remedy, expected) in [
            (
                follow_amazon(true),
                "w32tm /config \"/manualpeerlist:169.254.169.123,0x9\" /syncfromflags:manual /update; Restart-Service \
                 w32time; w32tm /resync /rediscover",
            ),
            (
                write("Config", "MaxPosPhaseCorrection", "0xFFFFFFFF"),
                r"reg add HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config /v MaxPosPhaseCorrection /t REG_DWORD /d 0xFFFFFFFF /f; Restart-Service w32time; w32tm /resync /rediscover",
            ),
            (
                policy("Time Providers", "NtpServer is a,0x9"),
                r"`gpresult /r /scope computer` names the policies of this machine; in the one that has Computer Configuration\Administrative Templates\System\Windows Time Service\Time Providers: NtpServer is a,0x9; then `gpupdate /force; w32tm /resync /rediscover`",
            ),
            (
                at_the_emulator(true),
                "`netdom query fsmo` names the PDC emulator; on it `w32tm /config \"/manualpeerlist:169.254.169.123,0x9\" \
                 /syncfromflags:manual /reliable:yes /update; Restart-Service w32time; w32tm /resync /rediscover`, and \
                 then here `w32tm /resync /rediscover`",
            ),
        ] {
            assert_eq!(remedy, expected);
        }
    }
}
