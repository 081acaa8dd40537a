/* A program in the place of the agent, for packages of other versions than the one that was built: it runs as the service
   skewguard until it is told to stop. */
#include <windows.h>

static SERVICE_STATUS_HANDLE service;
static HANDLE stop;

static void tell(DWORD state)
{
    SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, state, state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP : 0, 0, 0, 0, 0};
    SetServiceStatus(service, &status);
}

static DWORD WINAPI control(DWORD control, DWORD type, void *data, void *context)
{
    if (control == SERVICE_CONTROL_STOP)
        SetEvent(stop);
    return NO_ERROR;
}

static void WINAPI run(DWORD count, char **arguments)
{
    stop = CreateEventA(NULL, TRUE, FALSE, NULL);
    service = RegisterServiceCtrlHandlerExA("skewguard", control, NULL);
    tell(SERVICE_RUNNING);
    WaitForSingleObject(stop, INFINITE);
    tell(SERVICE_STOPPED);
}

int main(void)
{
    SERVICE_TABLE_ENTRYA table[] = {{"skewguard", run}, {NULL, NULL}};
    return StartServiceCtrlDispatcherA(table) ? 0 : 1;
}
