-- What skewguard.wxs cannot say to wixl: a statement each line, in the SQL of Windows Installer. The numbers of a custom action are
-- those of Microsoft's tables: 34 a program of a folder, 51 a property; 64 whatever its exit code; 1024 + 2048 as the system.

-- What whoever installs may say, and what was found before Windows asks for an administrator. CONFIG and INSTALLFOLDER are not among
-- it: a user who repairs what an administrator has installed would name files and folders that SYSTEM trusts.
UPDATE `Property` SET `Value` = 'FORMERFOLDER;PURGE;SERVICESTART;STARTSERVICE;WINDOWSBUILD;WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED' WHERE `Property` = 'SecureCustomProperties'

-- A program whose version is not told here would lose against the one that is there, which has one.
UPDATE `File` SET `Version` = '@VERSION@.0', `Language` = '1033' WHERE `File` = 'skewguard.exe'
DELETE FROM `MsiFileHash` WHERE `File_` = 'skewguard.exe'

-- The folder of the former version, unless the command line names one. A repair stays where the program is.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepFolder', 51, 'INSTALLFOLDER', '[FORMERFOLDER]')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepFolder', 'FORMERFOLDER AND (Installed OR NOT INSTALLFOLDER)', 150)

-- A repair lets the service be as it is, running or stopped.
UPDATE `InstallExecuteSequence` SET `Condition` = 'VersionNT AND NOT REINSTALL' WHERE `Action` = 'StopServices'

-- The new version takes over what both have, and then the old one is removed: the service is never away, which Windows would refuse
-- to make anew while anybody looks at it. If the new one fails, the old one is still there.
UPDATE `InstallExecuteSequence` SET `Sequence` = 6650 WHERE `Action` = 'RemoveExistingProducts'

-- A service that an administrator has disabled is left alone (4 is "disabled").
UPDATE `InstallExecuteSequence` SET `Condition` = 'VersionNT AND SERVICESTART <> "#4"' WHERE `Action` = 'InstallServices'

-- Windows Installer would take the whole package away again where the service does not start.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Start', 3170, 'System64Folder', '"[System64Folder]sc.exe" start skewguard')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('Start', 'SERVICESTART <> "#4" AND STARTSERVICE <> "0" AND NOT REMOVE AND NOT REINSTALL', 5910)

-- Restarted after 5, 30 and 60 s, also where it ends with an exit code. The table MsiServiceConfigFailureActions knows nothing of
-- exit codes; sc.exe is on every Windows and calls the documented function. What an administrator has set instead stays.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Recovery', 3106, 'System64Folder', '"[System64Folder]sc.exe" failure skewguard reset= 86400 actions= restart/5000/restart/30000/restart/60000')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RecoveryFlag', 3170, 'System64Folder', '"[System64Folder]sc.exe" failureflag skewguard 1')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('Recovery', 'NOT SERVICESTART AND NOT REMOVE', 5810)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RecoveryFlag', 'NOT SERVICESTART AND NOT REMOVE', 5820)

-- A configuration that was named is copied where none is, by the program and no shell. One that is not there fails the installation.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Configure', 3106, 'System64Folder', '"[#skewguard.exe]" service adopt "[CONFIG]"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('Configure', 'CONFIG AND NOT Installed AND NOT REMOVE', 4010)

-- A condition has no way to write a quotation mark, but for a property that nobody else can set.
INSERT INTO `Property` (`Property`, `Value`) VALUES ('QuotationMark', '"')
INSERT INTO `LaunchCondition` (`Condition`, `Description`) VALUES ('NOT (CONFIG >< QuotationMark)', 'CONFIG is the path of a file, and has no quotation mark in it.')

-- PURGE=1 at the removal, and never in the course of an upgrade.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Purge', 3170, 'System64Folder', '"[System64Folder]cmd.exe" /d /c rmdir /s /q "[CommonAppDataFolder]skewguard"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('Purge', 'REMOVE = "ALL" AND PURGE = "1" AND NOT UPGRADINGPRODUCTCODE', 3610)

-- Everybody may make files below ProgramData, so that these folders get an owner and rights of their own: SYSTEM and Administrators;
-- users read the configuration, and of others only the service (whose SID is made of its name) reads and writes the state.
CREATE TABLE `MsiLockPermissionsEx` (`MsiLockPermissionsEx` CHAR(72) NOT NULL, `LockObject` CHAR(72) NOT NULL, `Table` CHAR(32) NOT NULL, `SDDLText` LONGCHAR NOT NULL, `Condition` CHAR(255) PRIMARY KEY `MsiLockPermissionsEx`)
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('Data', 'DATAFOLDER', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICI;0x1200a9;;;S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358)')
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('State', 'STATEFOLDER', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;S-1-5-80-184746282-928372884-1660204080-2447402262-1879892358)')

-- Outside of Program Files a folder is anybody's, and the service runs what is in this one: users read and run it, and Windows'
-- own installer does as it does there.
INSERT INTO `CreateFolder` (`Directory_`, `Component_`) VALUES ('INSTALLFOLDER', 'Program')
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`) VALUES ('Program', 'INSTALLFOLDER', 'CreateFolder', 'O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(A;OICI;0x1200a9;;;BU)')

-- `skewguard` is found in every new shell.
INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('Path', '=-*PATH', '[~];[INSTALLFOLDER]', 'Remembered')
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('RemoveEnvironmentStrings', 3300)
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('WriteEnvironmentStrings', 5200)
