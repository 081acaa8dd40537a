/* A program in the place of the agent, for packages of other versions than the one that was built: it runs as the service
   skewguard until it is told to stop, and takes over a configuration. */
#include <stdio.h>
#include <string.h>
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

/* What is there already stays. A file that is missing is a failure all the same. */
static int adopt(const char *file)
{
    char data[MAX_PATH], place[MAX_PATH + 32];
    if (GetFileAttributesA(file) == INVALID_FILE_ATTRIBUTES || !GetEnvironmentVariableA("ProgramData", data, sizeof data))
        return 1;
    snprintf(place, sizeof place, "%s\\skewguard\\skewguard.yaml", data);
    return CopyFileA(file, place, TRUE) || GetLastError() == ERROR_FILE_EXISTS ? 0 : 1;
}

int main(int count, char **arguments)
{
    SERVICE_TABLE_ENTRYA table[] = {{"skewguard", run}, {NULL, NULL}};
    if (count == 4 && !strcmp(arguments[1], "service") && !strcmp(arguments[2], "adopt"))
        return adopt(arguments[3]);
    return StartServiceCtrlDispatcherA(table) ? 0 : 1;
}
