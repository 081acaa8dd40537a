# Installs skewguard on this Windows host, checks it or removes it, and says what it finds with its exit code, as host.sh does on
# Linux. The other files here have this one in them as it is: deploy/aws/embed puts it there.
#
#   host.ps1 place       installs the version that is meant, or upgrades to it
#   host.ps1 install     the same, and then checks
#   host.ps1 upgrade     the same where it is installed already, and nothing where it is not
#   host.ps1 bake        for an image: installed, to be started by the next boot, without a state
#   host.ps1 check       measures once; the exit code is that of `skewguard check`: 0 ok, 1 warning, 2 critical, 3 unknown
#   host.ps1 doctor      what is wrong with this host, and what mends it
#   host.ps1 remove      leaves the state, and what was configured
#   host.ps1 purge       leaves nothing
#
# Of the environment:
#   SKEWGUARD_RELEASE        the folder of a release, or one package of it: https://..., s3://... or a path, and
#   SKEWGUARD_SUM            the SHA-256 of the folder's SHA256SUMS, or of that package
#   SKEWGUARD_CONFIGURATION  skewguard.yaml, in base64
#   SKEWGUARD_PARAMETER      the SecureString of Parameter Store with secrets, NAME=value a line: each becomes a file of that name
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# What draws it takes longer than the download.
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

$data = "$env:ProgramData\skewguard"
$config = "$data\skewguard.yaml"
$secrets = "$data\secrets"
$system = '*S-1-5-18'
$administrators = '*S-1-5-32-544'
# Made of the name of the service.
$agent = '*S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358'
$work = "$env:SystemRoot\Temp\skewguard-" + [guid]::NewGuid()

function Say([string] $Text) { [Console]::Error.WriteLine("skewguard: $Text") }

function Get-Agent { Get-Service -Name skewguard -ErrorAction SilentlyContinue }

function Get-Product {
    Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*' |
        Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -eq 'skewguard' } | Select-Object -First 1
}

# The service knows where it is.
function Get-Program {
    $image = Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\skewguard' -ErrorAction SilentlyContinue
    if (-not $image) { throw 'skewguard is not installed' }
    $image.ImagePath -replace '^"?(.*?\.exe).*$', '$1'
}

# Both streams are told as they come.
function Invoke-Agent([string] $Command) {
    $global:LASTEXITCODE = 0
    & (Get-Program) $Command | Out-Host
    $LASTEXITCODE
}

function Install-It([string] $Options) {
    $former = Get-Agent
    $isChanged = Write-Configuration
    if ($former -and $former.Status -ne 'Running') { $Options += ' STARTSERVICE=0' }
    Install-Msi (Get-Msi) $Options
    # A first start has read it. One that was stopped stays so.
    if ($isChanged -and $former -and $former.Status -eq 'Running') { Restart-Service -Name skewguard }
}

function Test-Agent {
    $service = Get-Agent
    # It may only just have been started.
    if ($service -and $service.Status -eq 'StartPending') {
        try { $service.WaitForStatus('Running', [TimeSpan]::FromSeconds(30)) } catch { Say 'the service does not come to run' }
    }
    $code = Invoke-Agent check
    $service = Get-Agent
    if (-not $service -or $service.Status -ne 'Running') {
        Say 'the service does not run: look into the event log, Application, source skewguard'
        if ($code -eq 0) { $code = 3 }
    }
    $code
}

# What is configured

# Everybody may make files below ProgramData: this folder gets an owner and rights of its own.
function New-Folder([string] $Path, [string[]] $Rights) {
    New-Item -ItemType Directory -Path $Path -Force | Out-Null
    icacls.exe $Path /setowner $administrators /q | Out-Null
    if ($LASTEXITCODE -eq 0) { icacls.exe $Path /inheritance:r /grant:r "${system}:(OI)(CI)F" "${administrators}:(OI)(CI)F" $Rights /q | Out-Null }
    if ($LASTEXITCODE -ne 0) { throw "icacls does not protect $Path" }
}

# Whether that has changed anything.
function Write-Configuration {
    $isChanged = $false
    if ($env:SKEWGUARD_CONFIGURATION) {
        New-Folder $data @('*S-1-5-32-545:(OI)(CI)RX', "${agent}:(OI)(CI)RX")
        $isChanged = Write-File $config ([Convert]::FromBase64String($env:SKEWGUARD_CONFIGURATION))
    }
    if ($env:SKEWGUARD_PARAMETER) {
        if (-not (Test-Path $data)) { New-Folder $data @('*S-1-5-32-545:(OI)(CI)RX', "${agent}:(OI)(CI)RX") }
        New-Folder $secrets @("${agent}:(OI)(CI)RX")
        foreach ($line in (Get-Parameter $env:SKEWGUARD_PARAMETER) -split "`r?`n") {
            if ($line -notmatch '^([A-Za-z0-9_]+)=(.*)$') { continue }
            if (Write-File "$secrets\$($Matches[1])" ([Text.Encoding]::UTF8.GetBytes($Matches[2]))) { $isChanged = $true }
        }
    }
    $isChanged
}

function Write-File([string] $Path, [byte[]] $Content) {
    if ($Content.Length -eq 0) { throw "there is nothing to write to $Path" }
    if ((Test-Path $Path) -and [Convert]::ToBase64String([IO.File]::ReadAllBytes($Path)) -eq [Convert]::ToBase64String($Content)) { return $false }
    [IO.File]::WriteAllBytes("$Path.new", $Content)
    Move-Item -LiteralPath "$Path.new" -Destination $Path -Force
    $true
}

function Get-Parameter([string] $Name) {
    if (Get-Command aws -ErrorAction SilentlyContinue) {
        Select-Region
        $value = aws ssm get-parameter --with-decryption --name $Name --query Parameter.Value --output text
        if ($LASTEXITCODE -ne 0) { throw "the secrets of $Name cannot be read" }
        return $value -join "`n"
    }
    (Get-SSMParameter -Name $Name -WithDecryption $true).Value
}

# From a release

# The path of the package, or nothing where it is installed already.
function Get-Msi {
    if (-not $env:SKEWGUARD_RELEASE) { throw 'no release is named' }
    New-Folder $work @()
    $name = ($env:SKEWGUARD_RELEASE -split '\?')[0] -replace '^.*[/\\]', ''
    $sum = $env:SKEWGUARD_SUM
    if ($name -like '*.msi') {
        if (Test-Version $name) { return }
        Copy-Verified $env:SKEWGUARD_RELEASE $name $sum
        return "$work\$name"
    }
    Copy-Verified "$env:SKEWGUARD_RELEASE/SHA256SUMS" SHA256SUMS $sum
    $found = Get-Content "$work\SHA256SUMS" | Where-Object { $_ -match '^[0-9a-f]{64}  skewguard-[0-9][^/]*-x86_64\.msi$' } | Select-Object -Last 1
    if (-not $found) { throw 'the release has no package for Windows' }
    $sum, $name = $found -split '  ', 2
    if (Test-Version $name) { return }
    Copy-Verified "$env:SKEWGUARD_RELEASE/$name" $name $sum
    "$work\$name"
}

function Test-Version([string] $Name) {
    $product = Get-Product
    $product -and $Name -match '^skewguard-([0-9.]+)-' -and $product.DisplayVersion -eq $Matches[1]
}

# What lies on this host already was verified by whoever put it here.
function Copy-Verified([string] $From, [string] $Name, [string] $Sum) {
    $to = "$work\$Name"
    if ($From -match '^s3://([^/]+)/(.+)$') {
        $bucket, $object = $Matches[1], $Matches[2]
        if (Get-Command aws -ErrorAction SilentlyContinue) {
            Select-Region
            aws s3 cp --only-show-errors $From $to
            if ($LASTEXITCODE -ne 0) { throw "$From cannot be read" }
        } else {
            Read-S3Object -BucketName $bucket -Key $object -File $to | Out-Null
        }
    } elseif ($From -match '^https?://') {
        Invoke-WebRequest -Uri $From -OutFile $to -UseBasicParsing -TimeoutSec 300
    } else {
        Copy-Item -LiteralPath $From -Destination $to
        if (-not $Sum) { return }
    }
    if ((Get-FileHash -LiteralPath $to -Algorithm SHA256).Hash -ne $Sum) { throw "$Name has not the sum that was given" }
}

# For the AWS CLI, whose version 1 asks nobody where this is.
function Select-Region {
    if ($env:AWS_DEFAULT_REGION) { return }
    if ($env:AWS_REGION) { $env:AWS_DEFAULT_REGION = $env:AWS_REGION; return }
    try {
        $imds = 'http://169.254.169.254/latest'
        $token = Invoke-RestMethod -Method Put -Uri "$imds/api/token" -Headers @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '300' } -TimeoutSec 5
        $env:AWS_DEFAULT_REGION = Invoke-RestMethod -Uri "$imds/meta-data/placement/region" -Headers @{ 'X-aws-ec2-metadata-token' = $token } -TimeoutSec 5
    } catch { Say "the metadata service does not say where this is: $($_.Exception.Message)" }
}

function Install-Msi([string] $File, [string] $Options) {
    if ($File) { Invoke-Installer "/i `"$File`"" $Options }
}

# Others may be at work (1618). A restart of the host is never needed, and never made.
function Invoke-Installer([string] $What, [string] $Options) {
    $log = "$env:SystemRoot\Temp\skewguard-msi.log"
    foreach ($attempt in 1..30) {
        $code = (Start-Process msiexec.exe -ArgumentList "$What /qn /norestart /l*v `"$log`" $Options" -Wait -PassThru).ExitCode
        if ($code -ne 1618) { break }
        Start-Sleep -Seconds 10
    }
    if ($code -notin 0, 3010) { throw "msiexec $What ends with $code`: see $log" }
}

# What is removed

function Remove-It([bool] $IsPurge) {
    $product = Get-Product
    if ($product) { Invoke-Installer "/x $($product.PSChildName)" $(if ($IsPurge) { 'PURGE=1' }) }
    $uninstaller = "$env:ProgramFiles\skewguard\uninstall.ps1"
    if (Get-Agent) {
        if (-not (Test-Path $uninstaller)) { throw 'neither a package nor a zip has brought skewguard' }
        & $uninstaller | Out-Host
        if (Get-Agent) { throw 'the service is still there' }
    }
    if ($IsPurge -and (Test-Path $data)) { Remove-Item -LiteralPath $data -Recurse -Force }
}

function Invoke-Action([string] $Action) {
    switch ($Action) {
        'place' { Install-It; 0 }
        'install' { Install-It; Test-Agent }
        'upgrade' { if (Get-Agent) { Install-It; Test-Agent } else { Say 'not installed, so that nothing was upgraded'; 0 } }
        'bake' {
            Install-It 'STARTSERVICE=0'
            if ((Get-Agent).Status -ne 'Stopped') { Stop-Service -Name skewguard }
            Get-ChildItem -LiteralPath "$data\state" -Force | Remove-Item -Recurse -Force
            0
        }
        'check' { Test-Agent }
        'doctor' { Invoke-Agent doctor }
        'remove' { Remove-It $false; 0 }
        'purge' { Remove-It $true; 0 }
        default { Say "unknown: $Action"; 64 }
    }
}

$code = 1
try {
    $code = Invoke-Action $(if ($args.Count) { $args[0] } else { $env:SKEWGUARD_ACTION }) | Select-Object -Last 1
} catch {
    Say $_.Exception.Message
} finally {
    if (Test-Path $work) { Remove-Item -LiteralPath $work -Recurse -Force }
}
exit $code
