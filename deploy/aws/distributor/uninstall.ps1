# Called by Distributor, also before an update that uninstalls first: the state and the configuration stay.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$shell = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
& $shell -NoProfile -ExecutionPolicy Bypass -File "$PSScriptRoot\host.ps1" remove
exit $LASTEXITCODE
