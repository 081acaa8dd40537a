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
# The system, administrators, and the installer of Windows: nobody else's folder is taken for ours.
$trusted = 'S-1-5-18', 'S-1-5-32-544', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
# Reading for the agent, whose SID is made of the name of the service, and for every user.
$agentReads = '(A;OICI;0x1200a9;;;S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358)'
$usersRead = '(A;OICI;0x1200a9;;;BU)'
$isKept = $false
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
    # Windows Installer would take them over, whoever has made them.
    $data, "$data\state" | Where-Object { Test-Path -LiteralPath $_ } | ForEach-Object { Assert-Ours $_ }
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

# Everybody may make folders below ProgramData and Windows\Temp, and lead them elsewhere.
function Assert-Ours([string] $Path) {
    $item = Get-Item -Force -LiteralPath $Path
    if ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) { throw "$Path leads elsewhere: look who has made it, and remove it" }
    $owner = (Get-Acl -LiteralPath $Path).GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ($trusted -notcontains $owner) { throw "$Path belongs to $owner`: look what is in it, and remove it" }
}

# Made with its owner and its rights in one. Of one that was there, all that was granted before is gone.
function New-Folder([string] $Path, [string] $Rights) {
    $security = New-Object Security.AccessControl.DirectorySecurity
    $security.SetSecurityDescriptorSddlForm("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)$Rights", 'Owner, Group, Access')
    # This leaves one alone that is there.
    [IO.Directory]::CreateDirectory($Path, $security) | Out-Null
    Assert-Ours $Path
    Set-Acl -LiteralPath $Path -AclObject $security
}

# Whether that has changed anything.
function Write-Configuration {
    $isChanged = $false
    if ($env:SKEWGUARD_CONFIGURATION) {
        New-Folder $data "$usersRead$agentReads"
        $isChanged = Write-File $config ([Convert]::FromBase64String($env:SKEWGUARD_CONFIGURATION))
    }
    if ($env:SKEWGUARD_PARAMETER) {
        New-Folder $data "$usersRead$agentReads"
        New-Folder $secrets $agentReads
        foreach ($line in (Get-Parameter $env:SKEWGUARD_PARAMETER) -split "`r?`n") {
            if ($line -notmatch '^([A-Za-z0-9_]+)=(.*)$') { continue }
            if (Write-File "$secrets\$($Matches[1])" ([Text.Encoding]::UTF8.GetBytes($Matches[2]))) { $isChanged = $true }
        }
    }
    $isChanged
}

function Write-File([string] $Path, [byte[]] $Content) {
    if ($Content.Length -eq 0) { throw "there is nothing to write to $Path" }
    if (Test-Path -LiteralPath $Path) { Assert-Ours $Path }
    if ((Test-Path -LiteralPath $Path) -and [Convert]::ToBase64String([IO.File]::ReadAllBytes($Path)) -eq [Convert]::ToBase64String($Content)) { return $false }
    # Nobody else's, whatever was there by this name before the folder was protected.
    if (Test-Path -LiteralPath "$Path.new") { Remove-Item -LiteralPath "$Path.new" -Force }
    $file = [IO.File]::Open("$Path.new", [IO.FileMode]::CreateNew)
    try { $file.Write($Content, 0, $Content.Length) } finally { $file.Close() }
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
    New-Folder $work ''
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
    New-Folder $work ''
    $log = "$work\msi.log"
    foreach ($attempt in 1..30) {
        $code = (Start-Process msiexec.exe -ArgumentList "$What /qn /norestart /l*v `"$log`" $Options" -Wait -PassThru).ExitCode
        if ($code -ne 1618) { break }
        Start-Sleep -Seconds 10
    }
    if ($code -notin 0, 3010) {
        $script:isKept = $true
        throw "msiexec $What ends with $code`: see $log"
    }
}

# What is removed

function Remove-It([bool] $IsPurge) {
    if ($IsPurge -and (Test-Path -LiteralPath $data)) { Assert-Ours $data }
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
    if ((Test-Path $work) -and -not $isKept) { Remove-Item -LiteralPath $work -Recurse -Force }
}
exit $code
