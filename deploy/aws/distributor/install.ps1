# Called by Distributor where it has unpacked the package, for a first installation, and by update.ps1. A finding is no
# reason for it to fail: Distributor would take the agent away again, from the very host that needs it.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$env:SKEWGUARD_RELEASE = $PSScriptRoot
$shell = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
$code = 0
foreach ($action in 'place', 'check') {
    & $shell -NoProfile -ExecutionPolicy Bypass -File "$PSScriptRoot\host.ps1" $action
    $code = $LASTEXITCODE
    if ($action -eq 'place' -and $code -ne 0) { exit $code }
}
if ($code -notin 0..3) { exit $code }
if ($code -ne 0) { Write-Output "skewguard: installed, and this host has a finding (exit code $code)" }
exit 0
