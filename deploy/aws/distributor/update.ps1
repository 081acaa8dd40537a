# Called by Distributor for an in-place update. One that was stopped or disabled stays so, and a host without the agent is
# left without it.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
if (-not (Get-Service -Name skewguard -ErrorAction SilentlyContinue)) {
    Write-Output 'skewguard: not installed, so that nothing was updated'
    exit 0
}
& "$PSScriptRoot\install.ps1"
exit $LASTEXITCODE
