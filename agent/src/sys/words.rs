//! What people of a platform are told, in its commands.

/// Commands and places of a platform, in words for people.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// What mends a clock that is off. What keeps the time on a host is for the doctor to find out, which looks only when it is asked.
    pub set_the_clock: &'static str,
    /// The same in short, of a host of which nothing is known.
    pub set_the_clock_of_another: &'static str,
    /// What mends a clock that nobody keeps.
    pub keep_the_clock: &'static str,
    /// How to find who set the clock.
    pub find_who_stepped: &'static str,
    /// How to let a host reach its sources.
    pub reach_a_source: &'static str,
    /// What to do until a slow clock is set.
    pub lag: &'static str,
    /// What to do about a fast clock.
    pub lead: &'static str,
    /// How to find what refuses Amazon Time Sync on the host itself.
    pub find_firewall: &'static str,
    /// The program that asks the resolver of a host for a name, which follows.
    pub resolve: &'static str,
    /// How to let the agent read a file of another user.
    pub let_agent_read: &'static str,
    /// What to do about an expiration that is local time, in an hour that a day has twice.
    pub write_offset: &'static str,
    /// Where the variables of the service are.
    pub environment: &'static str,
    /// A file as a configuration names it, for an example.
    pub absolute_path: &'static str,
    /// How to have the service read its configuration again.
    pub reload: &'static str,
    /// How to read what the service has said.
    pub read_log: &'static str,
    /// How to ask whether the service runs.
    pub ask_for_service: &'static str,
    /// Where nobody can take the place of the agent that is asked.
    pub place_of_socket: &'static str,
    /// How the doctor gets to see all processes.
    pub see_all_processes: &'static str,
    /// Why something of a process cannot be seen by whoever may see all.
    pub hidden_from_all: &'static str,
    /// How to find out which processes there are.
    pub list_processes: &'static str,
    /// How the doctor gets to see a process of another user.
    pub see_process: &'static str,
    /// Why no process can be seen.
    pub no_process: &'static str,
    /// What is said of a service that can do everything.
    pub service_is_superuser: &'static str,
}
