//! The service: how the service manager starts it, what it is told, and how it is registered.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept, ServiceErrorControl,
    ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::System::Services::{ControlService, SERVICE_CONTROL_PARAMCHANGE, SERVICE_STATUS};

use super::clock::SET;
use super::place::places;
use super::security::{Descriptor, SERVICES, SHARED, is_trusted, owner_at};
use super::standing::{NAME, become_service};
use crate::sys::{Phase, ServiceError};

/// Whether this program registers itself as a service.
pub const HAS_SERVICE: bool = true;

/// Its account, which Windows makes for it, and which nobody can log on to.
const ACCOUNT: &str = r"NT SERVICE\skewguard";
const DESCRIPTION: &str = "Warns before AWS rejects requests because the clock is wrong or credentials have run out";
/// How long the manager waits for the next word of it while it starts or ends, which takes ten seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a service that ends.
const LOOK: Duration = Duration::from_millis(100);
/// What of a service of its own that ended by itself is told to the manager (ERROR_SERVICE_SPECIFIC_ERROR stands before it).
const ENDED_WELL: u32 = 0;

/// Told when it is to end.
pub(super) static STOP: LazyLock<Notify> = LazyLock::new(Notify::new);
/// Told when it is to read its configuration again.
pub(super) static RELOAD: LazyLock<Notify> = LazyLock::new(Notify::new);

static STATUS: OnceLock<ServiceStatusHandle> = OnceLock::new();
static IS_ENDING: AtomicBool = AtomicBool::new(false);
static CHECKPOINT: AtomicU32 = AtomicU32::new(1);
/// What the service does; the dispatcher calls a function that is handed nothing.
static WORK: Mutex<Option<Box<dyn FnOnce() -> u8 + Send>>> = Mutex::new(None);

/// Hands this process to the service manager that has started it, does the `work`, and tells the manager its exit code.
/// Returns once the service has ended.
///
/// # Errors
/// It was started by somebody else.
pub fn run_service(work: impl FnOnce() -> u8 + Send + 'static) -> Result<(), ServiceError> {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(work));
    service_dispatcher::start(NAME, main_of_service).map_err(|error| failed("failed to become a service", &error))
}

define_windows_service!(main_of_service, serve);

fn serve(_arguments: Vec<OsString>) {
    let handler = |control| match control {
        ServiceControl::Stop | ServiceControl::Preshutdown | ServiceControl::Shutdown => {
            IS_ENDING.store(true, Ordering::Relaxed);
            tell(ServiceState::StopPending, ServiceExitCode::Win32(0));
            STOP.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::ParamChange => {
            RELOAD.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::TimeChange => {
            SET.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    // Without a handle nobody can be told anything, and the manager gives up by itself.
    let Ok(status) = service_control_handler::register(NAME, handler) else { return };
    let _ = STATUS.set(status);
    become_service();
    tell(ServiceState::StartPending, ServiceExitCode::Win32(0));
    let work = WORK.lock().unwrap_or_else(PoisonError::into_inner).take();
    let code = work.map_or(0, |work| work());
    super::event_log::end();
    let code =
        if code == 0 { ServiceExitCode::Win32(ENDED_WELL) } else { ServiceExitCode::ServiceSpecific(code.into()) };
    tell(ServiceState::Stopped, code);
}

fn tell(state: ServiceState, exit_code: ServiceExitCode) {
    let is_pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
    let accepted = ServiceControlAccept::STOP
        | ServiceControlAccept::PRESHUTDOWN
        | ServiceControlAccept::PARAM_CHANGE
        | ServiceControlAccept::TIME_CHANGE;
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if state == ServiceState::Running { accepted } else { ServiceControlAccept::empty() },
        exit_code,
        checkpoint: if is_pending { CHECKPOINT.fetch_add(1, Ordering::Relaxed) } else { 0 },
        wait_hint: if is_pending { PATIENCE } else { Duration::ZERO },
        process_id: None,
    };
    if let Some(handle) = STATUS.get() {
        // Nobody else could be told that the manager cannot.
        let _ = handle.set_service_status(status);
    }
}

/// Tells the manager what the agent has come to.
pub(super) fn tell_phase(phase: Phase) {
    match phase {
        // One that was told to end is no longer ready, whatever it has just done.
        Phase::Ready if IS_ENDING.load(Ordering::Relaxed) => {}
        Phase::Ready => tell(ServiceState::Running, ServiceExitCode::Win32(0)),
        Phase::Stopping => tell(ServiceState::StopPending, ServiceExitCode::Win32(0)),
        // The manager has no such state.
        Phase::Reloading => {}
    }
}

/// Registers the service, or mends the registration that is there: automatic start, an account of its own, and a restart
/// after a failure. `arguments` are those of the program.
///
/// # Errors
/// Those of the service manager.
pub fn install_service(arguments: &[&str]) -> Result<(), ServiceError> {
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let program = std::env::current_exe().map_err(|error| ServiceError(format!("where this program is: {error}")))?;
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments.iter().map(OsString::from).collect(),
        // The network; the clock is nobody's service here.
        dependencies: Vec::new(),
        account_name: Some(ACCOUNT.into()),
        account_password: None,
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START | ServiceAccess::QUERY_STATUS;
    let service = match manager.create_service(&info, access) {
        Ok(service) => service,
        Err(_) => {
            let service = open(&manager, access)?;
            service.change_config(&info).map_err(|error| failed("failed to change the service", &error))?;
            service
        }
    };
    drop(service);
    configure_service()
}

/// Gives the service that is registered what a registration alone does not: its folders, a restart after a failure, and the
/// source of its events. What is there of the administrator stays.
///
/// # Errors
/// Those of the service manager and of making the folders; a folder that is a stranger's.
pub fn configure_service() -> Result<(), ServiceError> {
    // The manager wants the right to start what it is to start again.
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, access)?;
    service.set_description(DESCRIPTION).map_err(|error| failed("failed to describe the service", &error))?;
    let restart =
        |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(86_400)),
        reboot_msg: None,
        command: None,
        actions: Some(vec![restart(5), restart(30), restart(60)]),
    };
    // An exit code that tells of a failure counts as one as well.
    let actions = service
        .update_failure_actions(actions)
        .and_then(|()| service.set_failure_actions_on_non_crash_failures(true))
        .map_err(|error| failed("failed to set what follows a failure", &error));
    let state_dir = places().state_dir;
    let folder = state_dir.parent().unwrap_or(&state_dir);
    for (path, rights) in [(folder, SHARED), (&state_dir, SERVICES)] {
        prepare(path, rights).map_err(|error| ServiceError(format!("the folder {}: {error}", path.display())))?;
    }
    super::event_log::register_source().map_err(|error| ServiceError(format!("the source of events: {error}")))?;
    // Told last: all else is in its place.
    actions
}

/// Makes a folder with these rights, or gives them to one that is there. What a stranger has made is his: he may have put
/// something into it, and holds it open.
fn prepare(path: &Path, rights: &str) -> io::Result<()> {
    let descriptor = Descriptor::of(rights)?;
    match descriptor.create_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let owner = owner_at(path)?;
            if !is_trusted(&owner) {
                return Err(io::Error::other(format!("it belongs to {owner}: look into it, and remove it")));
            }
            descriptor.apply(path)
        }
        made => made,
    }
}

/// Takes the registration away. It must have ended.
///
/// # Errors
/// Those of the service manager.
pub fn uninstall_service() -> Result<(), ServiceError> {
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, ServiceAccess::DELETE)?;
    service.delete().map_err(|error| failed("failed to remove the service", &error))?;
    super::event_log::remove_source();
    Ok(())
}

/// Starts it, and returns once the manager has.
///
/// # Errors
/// Those of the service manager.
pub fn start_service() -> Result<(), ServiceError> {
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
    service.start::<&OsStr>(&[]).map_err(|error| failed("failed to start the service", &error))
}

/// Has it end, and waits until it has, for as long as that may take.
///
/// # Errors
/// Those of the service manager.
pub fn stop_service() -> Result<(), ServiceError> {
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?;
    let mut status = service.stop().map_err(|error| failed("failed to stop the service", &error))?;
    let mut left = PATIENCE;
    while status.current_state != ServiceState::Stopped && left > Duration::ZERO {
        thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
        status = service.query_status().map_err(|error| failed("failed to ask for the service", &error))?;
    }
    match status.current_state {
        ServiceState::Stopped => Ok(()),
        _ => Err(ServiceError("the service does not end".to_owned())),
    }
}

/// Has it read its configuration again.
///
/// # Errors
/// Those of the service manager.
#[expect(unsafe_code, reason = "the library sends no such control")]
pub fn reload_service() -> Result<(), ServiceError> {
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, ServiceAccess::PAUSE_CONTINUE)?;
    // SAFETY: it is plain data, for which all zeroes is a valid value, and the handle is open.
    let is_told = unsafe {
        let mut status: SERVICE_STATUS = std::mem::zeroed();
        ControlService(service.raw_handle(), SERVICE_CONTROL_PARAMCHANGE, &raw mut status)
    };
    if is_told == 0 {
        return Err(ServiceError(format!(
            "failed to have it read its configuration again: {}",
            io::Error::last_os_error()
        )));
    }
    Ok(())
}

/// What the manager says of it, in a word.
///
/// # Errors
/// Those of the service manager.
pub fn service_state() -> Result<&'static str, ServiceError> {
    let service = open(&manager(ServiceManagerAccess::CONNECT)?, ServiceAccess::QUERY_STATUS)?;
    let status = service.query_status().map_err(|error| failed("failed to ask for the service", &error))?;
    Ok(match status.current_state {
        ServiceState::Running => "running",
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "ending",
        ServiceState::ContinuePending | ServiceState::PausePending | ServiceState::Paused => "paused",
    })
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&OsStr>, access)
        .map_err(|error| failed("failed to reach the service manager (an elevated prompt may be needed)", &error))
}

fn open(manager: &ServiceManager, access: ServiceAccess) -> Result<windows_service::service::Service, ServiceError> {
    manager.open_service(NAME, access).map_err(|error| failed("failed to open the service", &error))
}

/// The library says what it did, and Windows why it failed.
fn failed(what: &str, error: &windows_service::Error) -> ServiceError {
    match error {
        windows_service::Error::Winapi(error) => ServiceError(format!("{what}: {error}")),
        other => ServiceError(format!("{what}: {other}")),
    }
}
