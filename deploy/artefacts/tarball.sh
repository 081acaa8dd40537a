# shellcheck shell=bash
# The tarballs for hosts without a package manager. Read by deploy/release.

pack_tarballs() {
    local arch stage folder name
    for arch in "${!programs[@]}"; do
        name=skewguard-$version-linux-$arch
        say "Packing $name.tar.gz"
        stage=$(stage_of "$arch")
        folder=$work/$name
        mkdir "$folder"
        cp -r "$stage"/{skewguard,systemd,udev,man,completions,config,licences} "$folder"
        cp CHANGELOG.md deploy/tarball/README deploy/tarball/install.sh deploy/tarball/uninstall.sh "$folder"
        chmod 755 "$folder"/*.sh
        printf '%s\n' "$version" >"$folder/VERSION"
        pack_folder "$work" "$name" | gzip -9n >"$artefacts/$name.tar.gz"
    done
}
