# shellcheck shell=bash
# The package of AWS Systems Manager Distributor: a zip for each architecture and one for Windows, and the manifest by which
# Distributor finds it on any distribution (`_any`). Read by deploy/release.

# The names that Distributor has for architectures.
declare -A distributor_names=([x86_64]=x86_64 [aarch64]=arm64)

pack_distributor() {
    local folder=$artefacts/ssm-distributor arch
    has python3 "the package of Distributor" "the package python3" || return 0
    mkdir "$folder"
    for arch in "${!programs[@]}"; do
        say "Packing the package of Distributor for $arch"
        # What an earlier version has in S3 may not be overwritten, so that the name has the version.
        pack_distributor_zip "$arch" "$folder/skewguard-$version-${distributor_names[$arch]}.zip"
    done
    pack_distributor_for_windows "$folder/skewguard-$version-windows-x86_64.zip"
    write_distributor_manifest "$folder"
}

# pack_distributor_for_windows FILE
pack_distributor_for_windows() {
    local stage=$work/distributor-windows
    [[ -e $artefacts/$(msi_name) ]] || return 0
    say "Packing the package of Distributor for Windows"
    mkdir "$stage"
    cp "$artefacts/$(msi_name)" "$stage"
    (cd "$stage" && sha256sum -- * >SHA256SUMS)
    cp "$here"/deploy/aws/host.ps1 "$here"/deploy/aws/distributor/*.ps1 "$stage"
    write_zip "$stage" "$1"
}

# pack_distributor_zip ARCH FILE: all three forms of the release; host.sh takes that which the host has a manager for.
pack_distributor_zip() {
    local arch=$1 stage=$work/distributor-$1 file
    mkdir "$stage"
    for file in "$artefacts"/*_"$(debian_name_of "$arch")".deb "$artefacts"/*."$arch".rpm "$artefacts"/*-linux-"$arch".tar.gz; do
        [[ ! -e $file ]] || cp "$file" "$stage"
    done
    (cd "$stage" && sha256sum -- * >SHA256SUMS)
    cp "$here"/deploy/aws/host.sh "$here"/deploy/aws/distributor/*.sh "$stage"
    write_zip "$stage" "$2"
}

debian_name_of() { case $1 in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) echo "$1" ;; esac; }

# write_zip FOLDER FILE: the same bytes for the same files, whenever and by whom they are packed.
write_zip() {
    python3 - "$@" <<'END'
import os, sys, time, zipfile

folder, file = sys.argv[1:]
date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(file, "w") as zipped:
    found = (os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    for name in sorted(os.path.relpath(path, folder) for path in found):
        info = zipfile.ZipInfo(name, date)
        info.create_system = 3
        info.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
        info.compress_type = zipfile.ZIP_STORED if name.endswith((".deb", ".rpm", ".gz", ".msi")) else zipfile.ZIP_DEFLATED
        with open(os.path.join(folder, name), "rb") as content:
            zipped.writestr(info, content.read())
END
}

write_distributor_manifest() {
    python3 - "$1" "$version" <<'END'
import hashlib, json, os, sys

folder, version = sys.argv[1:]
names = sorted(name for name in os.listdir(folder) if name.endswith(".zip"))
architecture = lambda name: name.removesuffix(".zip").rsplit("-", 1)[1]
packages = {}
for name in names:
    platform = "windows" if "-windows-" in name else "_any"
    packages.setdefault(platform, {"_any": {}})["_any"][architecture(name)] = {"file": name}
digest = lambda name: hashlib.sha256(open(os.path.join(folder, name), "rb").read()).hexdigest()
manifest = {
    "schemaVersion": "2.0",
    "version": version,
    "publisher": "The skewguard authors",
    "packages": packages,
    "files": {name: {"checksums": {"sha256": digest(name)}} for name in names},
}
with open(os.path.join(folder, "manifest.json"), "w") as file:
    file.write(json.dumps(manifest, indent=2) + "\n")
END
}
