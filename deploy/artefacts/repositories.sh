# shellcheck shell=bash
# The signed repositories: one for apt, one for dnf and yum, and what a host needs to use them. Read by deploy/release and
# by deploy/sign. There is no unsigned one.
#
# Neither repository has a date of its end (Valid-Until): releases are rare, and where nobody has signed an old one anew in
# time, the updates of a whole fleet would stop. A host learns over HTTPS whether there is a newer one.

# make_repositories FROM INTO: of the packages in a folder, and of those of former releases where `former` names one.
make_repositories() {
    local from=$1 into=$2 debs=() rpms=()
    mkdir -p "$into"
    mapfile -t debs < <(packages deb "$from")
    mapfile -t rpms < <(packages rpm "$from")
    make_client_files "$into"
    make_keyrings "$into"
    if ((${#debs[@]})); then
        say "Making the apt repository of ${#debs[@]} packages"
        make_apt_repository "$into/apt" "${debs[@]}" "$keyring_deb"
    else
        lacks "the apt repository" "there is no Debian package for it"
    fi
    if ((${#rpms[@]})); then
        say "Making the yum repository of ${#rpms[@]} packages"
        make_yum_repository "$into/rpm" "${rpms[@]}" "$keyring_rpm"
    else
        lacks "the yum repository" "there is no rpm package for it"
    fi
}

# packages TYPE FROM: those of former releases stay, so that a host can go back to one.
packages() {
    find "$2" ${former:+"$former"} -maxdepth 1 -name "*.$1" ! -name 'skewguard-archive-keyring[-_]*' | LC_ALL=C sort
}

# -- What a host needs

# make_client_files FOLDER
make_client_files() {
    cat >"$1/skewguard.sources" <<END
Types: deb
URIs: $repository_url/apt
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/skewguard-archive-keyring.asc
END
    cat >"$1/skewguard.repo" <<END
[skewguard]
name=skewguard
baseurl=$repository_url/rpm
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard
       file:///etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard-next
END
    # apt takes several keys of one file; rpm wants a file for each.
    export_keys "$archive_key" "$next_archive_key" >"$1/skewguard-archive-keyring.asc"
    export_keys "$archive_key" >"$1/RPM-GPG-KEY-skewguard"
    export_keys "$next_archive_key" >"$1/RPM-GPG-KEY-skewguard-next"
}

export_keys() { in_gpg --armor --export "$@"; }

# -- apt

make_apt_repository() {
    local folder=$1 arch suite=dists/stable file name
    shift
    mkdir -p "$folder/pool/main"
    for file; do
        # apt-ftparchive goes by the name, whoever has given the file another one.
        name=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$file")
        install -m 644 "$file" "$folder/pool/main/${name/_*:/_}"
    done
    for arch in amd64 arm64; do
        make_apt_index "$folder" "$arch"
    done
    (
        cd "$folder"
        apt-ftparchive -qq -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false \
            -o APT::FTPArchive::Release::Origin=skewguard -o APT::FTPArchive::Release::Label=skewguard \
            -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
            -o APT::FTPArchive::Release::Architectures='amd64 arm64' -o APT::FTPArchive::Release::Components=main \
            -o APT::FTPArchive::Release::Acquire-By-Hash=yes release "$suite" >"$work/Release"
        mv "$work/Release" "$suite"
        sign --clear-sign --output "$suite/InRelease" "$suite/Release"
        # For tools that mirror: apt reads the former.
        sign --armor --detach-sign --output "$suite/Release.gpg" "$suite/Release"
        index_by_hash "$suite"
    )
}

make_apt_index() {
    local index=dists/stable/main/binary-$2
    (
        cd "$1"
        mkdir -p "$index"
        apt-ftparchive -qq -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false --arch "$2" packages pool >"$index/Packages"
        gzip -9nk "$index/Packages"
    )
}

# A host that reads the list while another one is put there finds both.
index_by_hash() {
    local file sum
    for file in "$1"/main/binary-*/Packages*; do
        sum=$(sha256sum "$file")
        install -D -m 644 "$file" "${file%/*}/by-hash/SHA256/${sum%% *}"
    done
}

# -- dnf and yum

make_yum_repository() {
    local folder=$1
    shift
    mkdir -p "$folder/packages"
    install -m 644 "$@" "$folder/packages"
    # The packages of the release itself stay as they were built.
    GNUPGHOME=$gnupg rpmsign --define "_gpg_name $archive_key" --define '_gpg_digest_algo sha512' \
        --addsign "$folder"/packages/*.rpm >"$work/rpmsign.log" 2>&1 || die "rpmsign does not sign: $(tail -n 3 "$work/rpmsign.log")"
    # yum of Amazon Linux 2 reads no other compression.
    createrepo_c --quiet --general-compress-type=gz --no-database "$folder" >"$work/createrepo.log" 2>&1 ||
        die "createrepo_c fails: $(tail -n 3 "$work/createrepo.log")"
    sign --armor --detach-sign --output "$folder/repodata/repomd.xml.asc" "$folder/repodata/repomd.xml"
}
