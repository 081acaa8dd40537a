//! Windows: PowerShell, and the Windows Time service.

use crate::sys::Words;

/// What people of this platform are told.
pub const WORDS: Words = Words {
    set_the_clock: "set the clock and keep it: `skewguard doctor` in an elevated prompt names what keeps time on \
         this host and the command that mends it; with the Windows Time service `w32tm /resync /rediscover`, and \
         `w32tm /config /manualpeerlist:169.254.169.123,0x9 /syncfromflags:manual /update` outside of a domain",
    set_the_clock_of_another: "set the clock and keep it: `w32tm /resync /rediscover`, and outside of a domain \
         `w32tm /config /manualpeerlist:169.254.169.123,0x9 /syncfromflags:manual /update`",
    keep_the_clock: "look whether the Windows Time service runs and is synchronized: `w32tm /query /status`, or \
         `skewguard doctor` in an elevated prompt, which names the command that mends it",
    find_who_stepped: "find who set the clock: `Get-WinEvent -FilterHashtable @{LogName='System'; \
         ProviderName='Microsoft-Windows-Kernel-General'; Id=1} -MaxEvents 5` names the program; after a resume \
         the Windows Time service may step it once",
    reach_a_source: "let this host reach its sources: `w32tm /query /peers` or `skewguard check` shows which \
         answer; 169.254.169.123 needs no security group, other servers need UDP 123 outbound; where that is \
         blocked, `- { name: aws, http_date: aws }` below `sources` asks AWS over TCP 443",
    lag: "set the clock (`w32tm /resync /rediscover`); until then restart processes that use this SDK, or let \
         them refresh earlier",
    lead: "set the clock (`w32tm /resync /rediscover`); restarting processes does not help",
    find_firewall: "no security group stands in its way: look for a firewall on this host, `Get-NetFirewallRule \
         -Enabled True -Direction Outbound -Action Block`, and for a route that leads 169.254.169.123 elsewhere, \
         `Find-NetRoute -RemoteIPAddress 169.254.169.123`",
    resolve: "Resolve-DnsName",
    let_agent_read: r"let the service read the file and enter its folders: icacls FILE /grant 'NT SERVICE\skewguard:R'",
    write_offset: "let the tool that writes the expiration write an offset beside it, such as Z, or set the zone of the host to \
        UTC: `Set-TimeZone -Id UTC`",
    environment: r"the value `Environment` of HKLM\SYSTEM\CurrentControlSet\Services\skewguard",
    absolute_path: "C:/ProgramData/skewguard/ca.pem",
    reload: "skewguard service reload",
    read_log: "Get-WinEvent -ProviderName skewguard -MaxEvents 20",
    ask_for_service: "Get-Service skewguard",
    place_of_socket: "the service, or an administrator, would be",
    see_all_processes: "call the doctor in an elevated prompt to see all",
    hidden_from_all: "Windows protects them, or they may use folders that Windows does not tell",
    list_processes: "`Get-Process` lists those there are",
    see_process: "run this as that user, or in an elevated prompt",
    no_process: "no process of this host can be seen",
    service_is_superuser: r"the service can do everything on this host, and needs nothing of it: `sc.exe config skewguard obj= 'NT SERVICE\skewguard'` gives it the account of its own that the package does",
};
