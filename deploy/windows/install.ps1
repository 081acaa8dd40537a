# Installs skewguard on this host from the folder of the zip, or upgrades it: see README.md. Any number of runs lead to the same.
#   install.ps1 [-Configuration FILE] [-NoStart]
#     -Configuration  is copied to %ProgramData%\skewguard\skewguard.yaml if there is none
#     -NoStart        leaves the service stopped
[CmdletBinding()]
param(
    [string] $Configuration = '',
    [switch] $NoStart
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$folder = Join-Path $env:ProgramFiles 'skewguard'
$program = Join-Path $folder 'skewguard.exe'
$data = Join-Path $env:ProgramData 'skewguard'
$state = Join-Path $data 'state'
# Made of the name of the service, so that it is known before there is one.
$service = '*S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358'
$administrators = '*S-1-5-32-544'
$system = '*S-1-5-18'
$users = '*S-1-5-32-545'

function Stop-WithMessage([string] $Message) {
    [Console]::Error.WriteLine("install.ps1: $Message")
    exit 1
}

# A program of Windows that must succeed.
function Invoke-Checked([string] $Command, [string[]] $Arguments) {
    $said = & $Command @Arguments
    if ($LASTEXITCODE -ne 0) { Stop-WithMessage "$Command $Arguments ends with $LASTEXITCODE`: $said" }
}

function Test-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal $identity
    $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Everybody may make files below ProgramData: these folders get an owner and rights of their own.
function New-ProtectedFolder([string] $Path, [string[]] $Rights) {
    if (-not (Test-Path -LiteralPath $Path)) { New-Item -ItemType Directory -Path $Path | Out-Null }
    Invoke-Checked icacls.exe @($Path, '/setowner', $administrators, '/q')
    Invoke-Checked icacls.exe (@($Path, '/inheritance:r', '/grant:r') + $Rights + @('/q'))
}

if (-not (Test-Administrator)) { Stop-WithMessage 'this takes an elevated shell: run it as an administrator' }
if (-not [Environment]::Is64BitProcess) { Stop-WithMessage 'this is a 32-bit shell: use that of 64 bits' }
if ($Configuration -and -not (Test-Path -LiteralPath $Configuration -PathType Leaf)) { Stop-WithMessage "there is no $Configuration" }
$package = Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*' -ErrorAction SilentlyContinue |
    Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -eq 'skewguard' }
if ($package) { Stop-WithMessage 'skewguard is installed as a package of Windows Installer: upgrade that, or remove it before' }

$former = Get-Service -Name skewguard -ErrorAction SilentlyContinue
$isRunning = $false
$isDisabled = $false
if ($former) {
    $isRunning = $former.Status -eq 'Running'
    $isDisabled = (Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\skewguard').Start -eq 4
    if ($former.Status -ne 'Stopped') {
        Stop-Service -Name skewguard
        $former.WaitForStatus('Stopped', [TimeSpan]::FromSeconds(30))
    }
}

if (-not (Test-Path -LiteralPath $folder)) { New-Item -ItemType Directory -Path $folder | Out-Null }
foreach ($name in 'skewguard.exe', 'skewguard.yaml', 'skewguard.schema.json', 'README.md', 'CHANGELOG.md', 'VERSION', 'LICENSE-APACHE',
    'LICENSE-MIT', 'THIRD-PARTY-LICENSES', 'uninstall.ps1', 'verify.ps1', 'examples') {
    Copy-Item -LiteralPath (Join-Path $PSScriptRoot $name) -Destination $folder -Recurse -Force
}

New-ProtectedFolder $data @("${system}:(OI)(CI)F", "${administrators}:(OI)(CI)F", "${users}:(OI)(CI)RX", "${service}:(OI)(CI)RX")
New-ProtectedFolder $state @("${system}:(OI)(CI)F", "${administrators}:(OI)(CI)F", "${service}:(OI)(CI)M")
$written = Join-Path $data 'skewguard.yaml'
if ($Configuration -and -not (Test-Path -LiteralPath $written)) { Copy-Item -LiteralPath $Configuration -Destination $written }

# The program knows how its service is made, and how it is mended.
if (-not $isDisabled) { Invoke-Checked $program @('service', 'install') }
Write-Output "skewguard: installed $(Get-Content -LiteralPath (Join-Path $folder 'VERSION')) in $folder"
if (Test-Path -LiteralPath $written) {
    $said = & $program config check $written
    if ($LASTEXITCODE -ne 0) { Write-Warning "$written has a mistake, and the service does not start before it is mended: $said" }
}
# One that was stopped stays so.
if ($isDisabled -or $NoStart -or ($former -and -not $isRunning)) {
    Write-Output 'skewguard: the service was not started'
    exit 0
}
Start-Service -Name skewguard
