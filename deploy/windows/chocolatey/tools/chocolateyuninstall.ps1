# Removes what Windows Installer has installed, whichever version that is.
$ErrorActionPreference = 'Stop'

$parameters = Get-PackageParameters
$options = '/qn /norestart'
if ($parameters.ContainsKey('Purge')) { $options += ' PURGE=1' }

foreach ($product in Get-UninstallRegistryKey -SoftwareName 'skewguard') {
    $package = @{
        packageName    = 'skewguard'
        fileType       = 'msi'
        silentArgs     = "$($product.PSChildName) $options"
        file           = ''
        validExitCodes = @(0, 1605, 3010)
    }
    Uninstall-ChocolateyPackage @package
}
