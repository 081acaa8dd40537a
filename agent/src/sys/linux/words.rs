//! Linux: systemd, and chrony where nobody knows better.

use crate::sys::Words;

/// What people of this platform are told.
pub const WORDS: Words = Words {
    set_the_clock: "set the clock and keep it: `sudo skewguard doctor` names what keeps time on this host and \
         the command that mends it; with chrony `sudo chronyc makestep`, and `server 169.254.169.123 prefer \
         iburst minpoll 4 maxpoll 4` in its configuration",
    set_the_clock_of_another: "set the clock and keep it: with chrony `sudo chronyc makestep`, and `server \
         169.254.169.123 prefer iburst minpoll 4 maxpoll 4` in its configuration",
    keep_the_clock: "look whether a time daemon runs and is synchronized: `chronyc tracking`, `timedatectl \
         timesync-status`, or `sudo skewguard doctor`, which names what keeps time on this host and the command \
         that mends it",
    find_who_stepped: "find who set the clock: `journalctl --since -10min` names time daemons and `date`; after \
         a resume from snapshot or hibernation a time daemon may step it once",
    reach_a_source: "let this host reach its sources: `chronyc ntpdata` or `skewguard check` shows which answer; \
         169.254.169.123 needs no security group, other servers need UDP 123 outbound; where that is blocked, `- \
         { name: aws, http_date: aws }` below `sources` asks AWS over TCP 443",
    lag: "set the clock (with chrony: `sudo chronyc makestep`); until then restart processes that use this SDK, \
         or let them refresh earlier",
    lead: "set the clock (with chrony: `sudo chronyc makestep`); restarting processes does not help",
    find_firewall: "no security group stands in its way: look for a firewall on this host, `sudo nft list \
         ruleset` or `sudo iptables -S | grep 169.254`, and for a route that leads 169.254.0.0/16 elsewhere",
    resolve: "getent hosts",
    let_agent_read: "let the agent's user read the file and enter its folders: setfacl -m u:skewguard:r FILE; \
         below /home and /root the systemd unit needs ProtectHome=read-only in a drop-in as well (systemctl edit \
         skewguard)",
    write_offset: "let the tool that writes the expiration write an offset beside it, such as Z, or set the zone of the host to \
        UTC: `sudo timedatectl set-timezone UTC`",
    environment: "/etc/skewguard/environment",
    absolute_path: "/etc/skewguard/ca.pem",
    reload: "sudo systemctl reload skewguard",
    read_log: "journalctl -u skewguard",
    ask_for_service: "systemctl status skewguard",
    place_of_socket: "others can write to a folder above; /run/skewguard is a place for the socket",
    see_all_processes: "run the doctor as root to see all",
    hidden_from_all: "something of them is too large, or was written over",
    list_processes: "`ps -e` lists those there are, as root where /proc hides them",
    see_process: "run this as that user, or as root",
    no_process: "no process of this host can be seen: /proc is not readable",
    service_is_superuser: "the service runs as root, which at most the files of other users are a reason for: \
         give it a user of its own. The unit does, but systemd before 235 knows not how: \
         deploy/systemd/skewguard-219.service is for that",
};
