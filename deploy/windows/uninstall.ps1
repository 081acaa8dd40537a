# Removes what install.ps1 has installed: see README.md. Any number of runs lead to the same.
#   uninstall.ps1 [-Purge]
#     -Purge  removes the configuration and the state as well
[CmdletBinding()]
param([switch] $Purge)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$folder = Join-Path $env:ProgramFiles 'skewguard'
$program = Join-Path $folder 'skewguard.exe'
$data = Join-Path $env:ProgramData 'skewguard'

function Stop-WithMessage([string] $Message) {
    [Console]::Error.WriteLine("uninstall.ps1: $Message")
    exit 1
}

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object Security.Principal.WindowsPrincipal $identity
if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    Stop-WithMessage 'this takes an elevated shell: run it as an administrator'
}
$package = Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*' -ErrorAction SilentlyContinue |
    Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -eq 'skewguard' }
if ($package) { Stop-WithMessage "skewguard is a package of Windows Installer: msiexec /x $($package.PSChildName) /qn" }
if ($Purge -and (Test-Path -LiteralPath $data)) {
    # Everybody may make folders below ProgramData, and lead them elsewhere.
    $item = Get-Item -Force -LiteralPath $data
    if ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) { Stop-WithMessage "$data leads elsewhere: look who has made it, and remove it" }
}

$service = Get-Service -Name skewguard -ErrorAction SilentlyContinue
if ($service) {
    if ($service.Status -ne 'Stopped') {
        Stop-Service -Name skewguard
        $service.WaitForStatus('Stopped', [TimeSpan]::FromSeconds(30))
    }
    if (Test-Path -LiteralPath $program) {
        & $program service uninstall
    } else {
        sc.exe delete skewguard
    }
    if ($LASTEXITCODE -ne 0) { Stop-WithMessage "the service cannot be removed (exit code $LASTEXITCODE)" }
}
# This script lies in there; Windows has read it.
if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
if ($Purge -and (Test-Path -LiteralPath $data)) { Remove-Item -LiteralPath $data -Recurse -Force }
Write-Output 'skewguard: removed'
