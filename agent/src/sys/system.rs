//! What only Windows can tell.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

/// A value of the registry. It may hold a secret, so it cannot be shown as it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// `REG_SZ` and `REG_EXPAND_SZ`, the latter with its variables in their places.
    Text(String),
    /// `REG_DWORD` and `REG_QWORD`.
    Number(u64),
    /// `REG_MULTI_SZ`.
    List(Vec<String>),
    /// `REG_BINARY`, and whatever else there is.
    Bytes(Vec<u8>),
}

/// When a service starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At boot, by itself.
    Automatic,
    /// Some minutes after boot.
    AutomaticDelayed,
    /// When somebody starts it, or one of its triggers does.
    Manual,
    /// Never.
    Disabled,
}

/// What a service does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It does not.
    Stopped,
    /// It starts, stops, or is paused.
    Between,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// When it starts.
    pub start: Start,
    /// What it does.
    pub state: State,
}

/// A route of IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: Ipv4Addr,
    /// How many bits of that count.
    pub prefix: u8,
    /// The next hop; 0.0.0.0 where the destination is on the link.
    pub gateway: Ipv4Addr,
    /// The interface; `None` of a persistent route that is not in force.
    pub interface: Option<u32>,
    /// Its metric with that of the interface.
    pub metric: u32,
    /// Whether it is kept over a boot.
    pub is_persistent: bool,
}

/// An interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number, by which routes name it.
    pub index: u32,
    /// Its name for people, such as `Ethernet 2`.
    pub name: String,
    /// The device, such as `Amazon Elastic Network Adapter`.
    pub description: String,
    /// Its addresses of IPv4, each with the length of its prefix.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Its default gateways of IPv4.
    pub gateways: Vec<Ipv4Addr>,
}

/// What can be asked of Windows. It may take seconds, and it is to be called where that keeps nobody waiting.
///
/// What it returns may be anything that any user can write, of any size up to the bound that is named.
pub trait System {
    /// A value of the registry, of 64 KiB at most. A key is below `HKEY_LOCAL_MACHINE`, in the view of 64 bits, unless it
    /// begins with `HKCU\` or `HKU\`. `None` where there is no such key or no such value.
    ///
    /// # Errors
    /// It may not be read, or it is larger.
    fn value(&self, key: &str, name: &str) -> io::Result<Option<Value>>;

    /// Whether there is such a value, without a look at its data: that may be a secret.
    ///
    /// # Errors
    /// The key may not be read.
    fn has(&self, key: &str, name: &str) -> io::Result<bool>;

    /// The names of the keys below one, 1,024 at most; none where there is no such key.
    ///
    /// # Errors
    /// It may not be read.
    fn keys(&self, key: &str) -> io::Result<Vec<String>>;

    /// A service; `None` where there is none of this name.
    ///
    /// # Errors
    /// It may not be asked for.
    fn service(&self, name: &str) -> io::Result<Option<Service>>;

    /// What a program of `System32`, which is started by its absolute path, says on its standard output however it ends:
    /// 64 KiB at most, decoded from the code page of the console. It is ended after five seconds.
    ///
    /// # Errors
    /// It could not be started, or took longer.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String>;

    /// The routes of IPv4 that are in force, and the persistent ones that are not.
    ///
    /// # Errors
    /// They cannot be had.
    fn routes(&self) -> io::Result<Vec<Route>>;

    /// The interfaces that are up.
    ///
    /// # Errors
    /// They cannot be had.
    fn addresses(&self) -> io::Result<Vec<Interface>>;

    /// The domain of which the machine is a member (`NetGetJoinInformation`); `None` in a workgroup.
    ///
    /// # Errors
    /// It cannot be had.
    fn domain(&self) -> io::Result<Option<String>>;

    /// The first `cap` bytes of a regular file.
    ///
    /// # Errors
    /// `NotFound` where there is none; else it cannot be read.
    fn file(&self, path: &Path, cap: usize) -> io::Result<Vec<u8>>;
}
