# Hands the package for Windows Installer to it, once it is what was released.
$ErrorActionPreference = 'Stop'

$parameters = Get-PackageParameters
$options = '/qn /norestart'
if ($parameters['Config']) { $options += " CONFIG=`"$($parameters['Config'])`"" }
if ($parameters.ContainsKey('NoStart')) { $options += ' STARTSERVICE=0' }

$package = @{
    packageName    = 'skewguard'
    fileType       = 'msi'
    url64bit       = '@URL@'
    checksum64     = '@SUM@'
    checksumType64 = 'sha256'
    silentArgs     = $options
    validExitCodes = @(0, 3010)
}
Install-ChocolateyPackage @package
