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
$service = 'S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358'
# The system, administrators, and the installer of Windows: nobody else's folder is taken for ours.
$trusted = 'S-1-5-18', 'S-1-5-32-544', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'

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

# Everybody may make folders below ProgramData, and lead them elsewhere.
function Assert-Ours([string] $Path) {
    $item = Get-Item -Force -LiteralPath $Path
    if ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) { Stop-WithMessage "$Path leads elsewhere: look who has made it, and remove it" }
    $owner = (Get-Acl -LiteralPath $Path).GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ($trusted -notcontains $owner) { Stop-WithMessage "$Path belongs to $owner`: look what is in it, and remove it" }
}

# Made with its owner and its rights in one. Of one that was there, all that was granted before is gone.
function New-ProtectedFolder([string] $Path, [string] $Rights) {
    $security = New-Object Security.AccessControl.DirectorySecurity
    $security.SetSecurityDescriptorSddlForm("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)$Rights", 'Owner, Group, Access')
    # This leaves one alone that is there.
    [IO.Directory]::CreateDirectory($Path, $security) | Out-Null
    Assert-Ours $Path
    Set-Acl -LiteralPath $Path -AclObject $security
}

if (-not (Test-Administrator)) { Stop-WithMessage 'this takes an elevated shell: run it as an administrator' }
if (-not [Environment]::Is64BitProcess) { Stop-WithMessage 'this is a 32-bit shell: use that of 64 bits' }
if ($Configuration -and -not (Test-Path -LiteralPath $Configuration -PathType Leaf)) { Stop-WithMessage "there is no $Configuration" }
$package = Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*' -ErrorAction SilentlyContinue |
    Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -eq 'skewguard' }
if ($package) { Stop-WithMessage 'skewguard is installed as a package of Windows Installer: upgrade that, or remove it before' }

# Nothing is stopped or replaced before it is known that the new program can begin.
$written = Join-Path $data 'skewguard.yaml'
foreach ($path in $data, $state, $written) { if (Test-Path -LiteralPath $path) { Assert-Ours $path } }
$next = if (Test-Path -LiteralPath $written) { $written } else { $Configuration }
if ($next) { Invoke-Checked (Join-Path $PSScriptRoot 'skewguard.exe') @('config', 'check', $next) }

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

New-ProtectedFolder $data "(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;$service)"
New-ProtectedFolder $state "(A;OICI;0x1301bf;;;$service)"
if ($Configuration -and -not (Test-Path -LiteralPath $written)) { Copy-Item -LiteralPath $Configuration -Destination $written }

# The program knows how its service is made, and how it is mended.
if (-not $isDisabled) { Invoke-Checked $program @('service', 'install') }
Write-Output "skewguard: installed $(Get-Content -LiteralPath (Join-Path $folder 'VERSION')) in $folder"
# One that was stopped stays so.
if ($isDisabled -or $NoStart -or ($former -and -not $isRunning)) {
    Write-Output 'skewguard: the service was not started'
    exit 0
}
Start-Service -Name skewguard
