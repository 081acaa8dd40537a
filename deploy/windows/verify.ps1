# Tries on this host what no test can without Windows, and says of each thing PASS, FAIL or UNKNOWN, with what it saw. For an
# elevated Windows PowerShell 5.1, where skewguard is installed. It restarts the service several times; the exit code is 1 where
# anything has failed.
#   verify.ps1 [-SetClock] [-Msi FILE]
#     -SetClock  sets the clock of this host 3 s ahead, and back again
#     -Msi       repairs with this package, or upgrades to it
[CmdletBinding()]
param(
    [switch] $SetClock,
    [string] $Msi = ''
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$data = Join-Path $env:ProgramData 'skewguard'
$key = 'HKLM:\SYSTEM\CurrentControlSet\Services\skewguard'
$system = 'S-1-5-18'
$administrators = 'S-1-5-32-544'
$serviceSid = 'S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358'
$localService = 'S-1-5-19'
$trusted = $system, $administrators, 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
$counts = @{ PASS = 0; FAIL = 0; UNKNOWN = 0 }

# -- Verdicts

function New-Verdict([string] $Verdict, [string] $Evidence) { @{ Verdict = $Verdict; Evidence = $Evidence } }
function Approve([string] $Evidence) { New-Verdict 'PASS' $Evidence }
function Deny([string] $Evidence) { New-Verdict 'FAIL' $Evidence }
function Doubt([string] $Evidence) { New-Verdict 'UNKNOWN' $Evidence }

# What a thing does not come to say is unknown.
function Test-Thing([string] $Name, [scriptblock] $Look) {
    try {
        $found = & $Look | Select-Object -Last 1
        if (-not $found) { $found = Doubt 'nothing was said' }
    } catch {
        $found = Doubt "not tried to the end: $($_.Exception.Message)"
    }
    $counts[$found.Verdict] += 1
    Write-Output ('{0,-8} {1}: {2}' -f $found.Verdict, $Name, $found.Evidence)
}

# -- What is asked again and again

function Get-Agent { Get-CimInstance Win32_Service -Filter "Name='skewguard'" }

# Whether it comes true within so many seconds.
function Wait-Until([int] $Seconds, [scriptblock] $Condition) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($watch.Elapsed.TotalSeconds -lt $Seconds) {
        if (& $Condition) { return $true }
        Start-Sleep -Milliseconds 500
    }
    $false
}

function Wait-Running { Wait-Until 30 { (Get-Agent).State -eq 'Running' } }

function Get-Status { (& $program status --format json) -join "`n" | ConvertFrom-Json }

function Get-Events([datetime] $Since) {
    Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'skewguard'; StartTime = $Since } -ErrorAction SilentlyContinue
}

function Get-Sid($Reference) { $Reference.Translate([Security.Principal.SecurityIdentifier]).Value }

# A folder below Temp, where everybody may make files, that nobody can have made before; its rights come with it.
function New-PrivateFolder([string] $Rights) {
    $path = Join-Path $env:SystemRoot "Temp\skewguard-verify-$([guid]::NewGuid())"
    $security = New-Object Security.AccessControl.DirectorySecurity
    $security.SetSecurityDescriptorSddlForm("O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)$Rights")
    [IO.Directory]::CreateDirectory($path, $security) | Out-Null
    $path
}

# Runs the program as LOCAL SERVICE, which is an ordinary user and needs no password.
function Invoke-AsPlainUser([string] $Arguments) {
    $folder = New-PrivateFolder "(A;OICI;0x1301bf;;;$localService)"
    $name = Split-Path $folder -Leaf
    try {
        $line = "/d /v:on /c `"`"$program`" $Arguments >`"$folder\said`" 2>&1 & echo !errorlevel!>`"$folder\code`"`""
        $action = New-ScheduledTaskAction -Execute "$env:SystemRoot\System32\cmd.exe" -Argument $line
        $principal = New-ScheduledTaskPrincipal -UserId 'LOCALSERVICE' -LogonType ServiceAccount
        Register-ScheduledTask -TaskName $name -Action $action -Principal $principal -Force | Out-Null
        Start-ScheduledTask -TaskName $name
        if (-not (Wait-Until 60 { (Test-Path "$folder\code") -and (Get-Item "$folder\code").Length -gt 0 })) { throw 'the task of a plain user has not ended' }
        @{ Code = [int] (Get-Content "$folder\code" -Raw).Trim(); Said = [string] (Get-Content "$folder\said" -Raw) }
    } finally {
        Unregister-ScheduledTask -TaskName $name -Confirm:$false -ErrorAction SilentlyContinue
        Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
    }
}

# -- Before all else

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$isAdministrator = (New-Object Security.Principal.WindowsPrincipal $identity).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
if (-not $isAdministrator) {
    [Console]::Error.WriteLine('verify.ps1: this takes an elevated shell: run it as an administrator')
    exit 64
}
if (-not (Get-Agent)) {
    [Console]::Error.WriteLine('verify.ps1: there is no service skewguard: install it first')
    exit 64
}
if ((Get-Agent).PathName -notmatch '^"?(.*\\skewguard\.exe)"? service run$') {
    [Console]::Error.WriteLine("verify.ps1: the service runs something else: $((Get-Agent).PathName)")
    exit 1
}
$program = $Matches[1]
Write-Output "$(& $program --version) on $((Get-CimInstance Win32_OperatingSystem).Caption) $([Environment]::OSVersion.Version), PowerShell $($PSVersionTable.PSVersion)"

# -- The service

Test-Thing 'the command line is quoted' {
    $line = (Get-Agent).PathName
    if ($line -eq "`"$program`" service run") { Approve $line } else { Deny $line }
}

Test-Thing 'it starts with Windows and without delay' {
    $agent = Get-Agent
    $said = "$($agent.StartMode), delayed: $($agent.DelayedAutoStart)"
    if ($agent.StartMode -eq 'Auto' -and -not $agent.DelayedAutoStart) { Approve $said } else { Deny $said }
}

Test-Thing 'it runs as NT SERVICE\skewguard' {
    $agent = Get-Agent
    if ($agent.State -ne 'Running') { return Deny "the service is $($agent.State)" }
    $owner = Invoke-CimMethod -MethodName GetOwnerSid -InputObject (Get-CimInstance Win32_Process -Filter "ProcessId=$($agent.ProcessId)")
    $said = "$($agent.StartName), the process $($agent.ProcessId) is of $($owner.Sid)"
    if ($agent.StartName -eq 'NT SERVICE\skewguard' -and $owner.Sid -eq $serviceSid) { Approve $said } else { Deny $said }
}

Test-Thing 'the actions after a failure' {
    $values = Get-ItemProperty $key
    if (-not $values.PSObject.Properties['FailureActions']) { return Deny 'there are none' }
    $bytes = [byte[]] $values.FailureActions
    $count = [BitConverter]::ToInt32($bytes, 12)
    $actions = foreach ($index in 0..($count - 1)) {
        '{0}/{1}' -f [BitConverter]::ToInt32($bytes, 20 + 8 * $index), [BitConverter]::ToInt32($bytes, 24 + 8 * $index)
    }
    $flag = $values.PSObject.Properties['FailureActionsOnNonCrashFailures'] -and $values.FailureActionsOnNonCrashFailures -eq 1
    $said = "reset after $([BitConverter]::ToInt32($bytes, 0)) s, actions $actions, also after an exit code: $flag"
    if ($said -eq 'reset after 86400 s, actions 1/5000 1/30000 1/60000, also after an exit code: True') { Approve $said } else { Deny $said }
}

Test-Thing 'one that is killed comes back' {
    $former = (Get-Agent).ProcessId
    Stop-Process -Id $former -Force
    $watch = [Diagnostics.Stopwatch]::StartNew()
    if (-not (Wait-Until 30 { $agent = Get-Agent; $agent.State -eq 'Running' -and $agent.ProcessId -ne $former })) { return Deny 'not within 30 s' }
    Approve ('after {0:n1} s' -f $watch.Elapsed.TotalSeconds)
}

Test-Thing 'a stop is over within 10 s' {
    if (-not (Wait-Running)) { return Doubt 'it does not run' }
    $watch = [Diagnostics.Stopwatch]::StartNew()
    Stop-Service -Name skewguard
    (Get-Service -Name skewguard).WaitForStatus('Stopped', [TimeSpan]::FromSeconds(60))
    $seconds = $watch.Elapsed.TotalSeconds
    $code = (Get-Agent).ExitCode
    Start-Service -Name skewguard
    $said = '{0:n1} s, exit code {1}' -f $seconds, $code
    if ($seconds -le 10 -and $code -eq 0) { Approve $said } else { Deny $said }
}

Test-Thing 'sc control paramchange reads the configuration again' {
    if (-not (Wait-Running)) { return Doubt 'it does not run' }
    $former = (Get-Agent).ProcessId
    $since = Get-Date
    $said = sc.exe control skewguard paramchange
    if ($LASTEXITCODE -ne 0) { return Deny "exit code $LASTEXITCODE`: $said" }
    $isTold = Wait-Until 15 { @(Get-Events $since).Count -gt 0 }
    if ((Get-Agent).ProcessId -ne $former) { return Deny 'the service is another process' }
    if (-not $isTold) { return Doubt 'it runs on, and no event tells that it has read it' }
    $events = @(Get-Events $since)
    Approve $events[0].Message
}

# -- Who may do what

Test-Thing 'the state is for the service, SYSTEM and Administrators' {
    $acl = Get-Acl -LiteralPath (Join-Path $data 'state')
    $others = @($acl.Access | Where-Object { $system, $administrators, $serviceSid -notcontains (Get-Sid $_.IdentityReference) })
    if (-not $acl.AreAccessRulesProtected -or $others.Count -gt 0) { return Deny $acl.Sddl }
    Approve $acl.Sddl
}

Test-Thing 'the folders are of the system or of administrators, and lead nowhere else' {
    $paths = @($data, (Join-Path $data 'state'), (Join-Path $data 'secrets'), (Split-Path $program)) | Where-Object { Test-Path -LiteralPath $_ }
    $said = @()
    foreach ($path in $paths) {
        if ((Get-Item -Force -LiteralPath $path).Attributes -band [IO.FileAttributes]::ReparsePoint) { return Deny "$path leads elsewhere" }
        $owner = (Get-Acl -LiteralPath $path).GetOwner([Security.Principal.SecurityIdentifier]).Value
        if ($trusted -notcontains $owner) { return Deny "$path is of $owner" }
        $said += "$path of $owner"
    }
    Approve ($said -join ', ')
}

Test-Thing 'a folder that a stranger has made is refused' {
    $root = New-PrivateFolder ''
    $squatted = Join-Path $root 'skewguard'
    try {
        $security = New-Object Security.AccessControl.DirectorySecurity
        $security.SetSecurityDescriptorSddlForm("D:(A;OICI;FA;;;BA)(A;OICI;FA;;;$localService)")
        [IO.Directory]::CreateDirectory($squatted, $security) | Out-Null
        $said = icacls.exe $squatted /setowner "*$localService" /q
        if ($LASTEXITCODE -ne 0) { return Doubt "icacls: $said" }
        Set-Content -LiteralPath "$root\given.yaml" -Value '{}' -Encoding ASCII
        # What a program says on its other stream is no error of this script.
        $ErrorActionPreference = 'Continue'
        $said = (& $program service adopt "$root\given.yaml" --place "$squatted\skewguard.yaml" 2>&1 | Out-String).Trim()
        $code = $LASTEXITCODE
        $isWritten = Test-Path -LiteralPath "$squatted\skewguard.yaml"
        if ($code -ne 0 -and -not $isWritten) { Approve "exit code $code`: $said" } else { Deny "exit code $code, configured: $isWritten. $said" }
    } finally {
        Remove-Item -LiteralPath $root -Recurse -Force -ErrorAction SilentlyContinue
    }
}

Test-Thing 'only administrators write the configuration' {
    $paths = @($data) + @(Join-Path $data 'skewguard.yaml' | Where-Object { Test-Path -LiteralPath $_ })
    $writing = [Security.AccessControl.FileSystemRights] 'WriteData, AppendData, Delete, DeleteSubdirectoriesAndFiles, ChangePermissions, TakeOwnership'
    foreach ($path in $paths) {
        $acl = Get-Acl -LiteralPath $path
        $owner = $acl.GetOwner([Security.Principal.SecurityIdentifier]).Value
        if ($system, $administrators -notcontains $owner) { return Deny "$path is of $($acl.Owner)" }
        $others = @($acl.Access | Where-Object {
            $_.AccessControlType -eq 'Allow' -and ($_.FileSystemRights -band $writing) -and $system, $administrators -notcontains (Get-Sid $_.IdentityReference)
        })
        if ($others.Count -gt 0) { return Deny "$path`: $($acl.Sddl)" }
    }
    Approve ($paths -join ', ')
}

Test-Thing 'the pipe answers a plain user' {
    if (-not (Wait-Running) -or -not (Wait-Until 30 { & $program status >$null; $LASTEXITCODE -ne 3 })) { return Doubt 'the agent does not know yet' }
    $own = (& $program status) -join "`n"
    $code = $LASTEXITCODE
    $answer = Invoke-AsPlainUser 'status'
    $said = "exit code $($answer.Code), that of an administrator is $code`: $(($answer.Said -split "`n")[0])"
    if ($answer.Code -eq $code -and $answer.Said.Trim() -and $own) { Approve $said } else { Deny $said }
}

Test-Thing 'nobody else may serve the pipe' {
    # The agent only writes into it, so that nobody may ask for more.
    $rights = [IO.Pipes.PipeAccessRights] 'ReadData, ReadPermissions'
    $options = [IO.Pipes.PipeOptions]::None
    $pipe = New-Object IO.Pipes.NamedPipeClientStream '.', 'skewguard', $rights, $options, ([Security.Principal.TokenImpersonationLevel]::Anonymous), ([IO.HandleInheritability]::None)
    try {
        $pipe.Connect(5000)
        $acl = $pipe.GetAccessControl()
    } finally { $pipe.Dispose() }
    $sddl = $acl.GetSecurityDescriptorSddlForm('All')
    $owner = $acl.GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ($system, $administrators, $serviceSid -notcontains $owner) { return Deny "it is of $owner`: $sddl" }
    $serving = [IO.Pipes.PipeAccessRights] 'CreateNewInstance, ChangePermissions, TakeOwnership'
    $rules = $acl.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    $others = @($rules | Where-Object {
        $_.AccessControlType -eq 'Allow' -and ($_.PipeAccessRights -band $serving) -and $system, $administrators, $serviceSid -notcontains $_.IdentityReference.Value
    })
    if ($others.Count -gt 0) { Deny $sddl } else { Approve $sddl }
}

Test-Thing 'the doctor examines for a plain user' {
    $answer = Invoke-AsPlainUser 'doctor'
    $said = "exit code $($answer.Code): $(($answer.Said -split "`n")[0])"
    if ($answer.Code -in 0..3 -and $answer.Said.Trim()) { Approve $said } else { Deny $said }
}

# -- What Windows shows

Test-Thing 'the event log shows what the agent says' {
    $source = Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Services\EventLog\Application\skewguard'
    $events = @(Get-Events ([datetime]::MinValue.AddYears(1700)))
    if ($events.Count -eq 0) { return Doubt "there is no event yet; messages are of $($source.EventMessageFile)" }
    $bare = @($events | Where-Object { -not $_.Message -or $_.Message.Trim() -ne ([string] $_.Properties[0].Value).Trim() })
    if ($bare.Count -gt 0) { return Deny "the event $($bare[0].Id) is not rendered" }
    Approve "$($events.Count) events, the last is $($events[0].Id): $($events[0].Message)"
}

Test-Thing 'the signature of the program' {
    $signature = Get-AuthenticodeSignature -LiteralPath $program
    switch ([string] $signature.Status) {
        'Valid' { Approve $signature.SignerCertificate.Subject }
        'NotSigned' { Doubt 'it has none' }
        default { Deny $signature.StatusMessage }
    }
}

Test-Thing 'a new shell finds skewguard' {
    $paths = [Environment]::GetEnvironmentVariable('Path', 'Machine') -split ';' | ForEach-Object { $_.TrimEnd('\') }
    if ($paths -contains (Split-Path $program)) { Approve (Split-Path $program) } else { Doubt 'it is not in PATH, as after install.ps1' }
}

# -- The clock

Test-Thing 'the doctor says of W32Time what Windows says' {
    $time = Get-Service -Name w32time
    $source = (w32tm.exe /query /source) -join ' '
    $status = (w32tm.exe /query /status) -join '; '
    $doctor = (& $program doctor) -join "`n"
    $said = "W32Time is $($time.Status), source $source; w32tm: $status"
    if ($doctor -notmatch 'W32Time') { return Doubt "the doctor does not name it. $said" }
    if ($time.Status -eq 'Running' -and $doctor.Contains($source.Trim())) { return Approve $said }
    Doubt "compare it by hand. $said; doctor: $doctor"
}

Test-Thing 'Amazon Time Sync answers' {
    $socket = New-Object Net.Sockets.UdpClient
    try {
        $socket.Client.ReceiveTimeout = 3000
        $request = New-Object byte[] 48
        $request[0] = 0x23
        [void] $socket.Send($request, 48, '169.254.169.123', 123)
        $from = New-Object Net.IPEndPoint ([Net.IPAddress]::Any), 0
        $reply = $socket.Receive([ref] $from)
    } catch { return Doubt "no answer, as outside of EC2: $($_.Exception.Message)" } finally { $socket.Close() }
    if ($reply.Length -ge 48 -and $reply[1] -in 1..15) { Approve "stratum $($reply[1])" } else { Deny "$($reply.Length) bytes" }
}

Test-Thing 'the metadata service answers' {
    try {
        $token = Invoke-RestMethod -Method Put -Uri 'http://169.254.169.254/latest/api/token' -Headers @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '60' } -TimeoutSec 3
        $id = Invoke-RestMethod -Uri 'http://169.254.169.254/latest/meta-data/instance-id' -Headers @{ 'X-aws-ec2-metadata-token' = $token } -TimeoutSec 3
    } catch { return Doubt "no answer, as outside of EC2: $($_.Exception.Message)" }
    Approve $id
}

Test-Thing 'time stamps of the network stack' {
    Doubt "nothing outside of the agent shows them; its sources: $((Get-Status).sources | ConvertTo-Json -Depth 3 -Compress)"
}

if ($SetClock) {
    Test-Thing 'a clock that is set is told' {
        if (-not (Wait-Running) -or -not (Wait-Until 60 { [math]::Abs([double] (Get-Status).clock.offset_seconds) -lt 1 })) { return Doubt 'the clock is not right before' }
        # By a watch that nobody sets, so that it is right again whatever happens in between.
        $began = [DateTime]::UtcNow
        $watch = [Diagnostics.Stopwatch]::StartNew()
        try {
            Set-Date -Adjust ([TimeSpan]::FromSeconds(3)) | Out-Null
            $isTold = Wait-Until 60 { [math]::Abs([double] (Get-Status).clock.offset_seconds + 3) -lt 1 }
            $offset = (Get-Status).clock.offset_seconds
        } finally {
            $away = [DateTime]::UtcNow - ($began + $watch.Elapsed)
            Set-Date -Adjust ([TimeSpan]::Zero - $away) | Out-Null
        }
        if ($isTold) { Approve "$offset s" } else { Deny "$offset s, and W32Time may have set it back before" }
    }
}

if ($Msi) {
    Test-Thing 'the package repairs or upgrades, and leaves what is the administrator''s' {
        $marks = @(Get-ChildItem -LiteralPath $data -Recurse -File -Filter 'skewguard.yaml' | Get-FileHash | ForEach-Object { $_.Hash })
        $log = Join-Path (New-PrivateFolder '') 'msi.log'
        $arguments = "`"$Msi`" /qn /norestart /l*v `"$log`""
        $installer = Start-Process msiexec.exe -ArgumentList "/fvomus $arguments" -Wait -PassThru
        # Of another version, it is not repaired but upgraded.
        if ($installer.ExitCode -in 1605, 1638) { $installer = Start-Process msiexec.exe -ArgumentList "/i $arguments" -Wait -PassThru }
        $after = @(Get-ChildItem -LiteralPath $data -Recurse -File -Filter 'skewguard.yaml' | Get-FileHash | ForEach-Object { $_.Hash })
        $said = "exit code $($installer.ExitCode), $(& $program --version), log $log"
        if ($installer.ExitCode -notin 0, 3010) { return Deny $said }
        if (($marks -join ' ') -ne ($after -join ' ') -or -not (Test-Path (Join-Path $data 'state'))) { return Deny "the configuration or the state is another; $said" }
        if (Wait-Running) { Approve $said } else { Deny "the service does not run; $said" }
    }
}

Write-Output "$($counts.PASS) passed, $($counts.FAIL) failed, $($counts.UNKNOWN) unknown"
if ($counts.FAIL -gt 0) { exit 1 }
