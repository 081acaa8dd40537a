# shellcheck shell=bash
# The packages that bring the present key and the next one to every host, long before the next one signs: one for apt, one
# for dnf and yum. Read by deploy/release and by deploy/sign.

keyring_name=skewguard-archive-keyring

# make_keyrings FOLDER: of the keys in a folder, as make_client_files puts them there. Sets `keyring_deb` and `keyring_rpm`.
make_keyrings() {
    local date release
    # Each rotation has a new key, and by its date a newer package.
    date=$(in_gpg --list-keys --with-colons "$archive_key" "$next_archive_key" | grep ^pub: | cut -d: -f6 | sort -n | tail -n 1)
    release=$(date --utc --date "@$date" +%Y.%m.%d.%H%M%S)
    say "Packing $keyring_name $release"
    make_keyring_deb "$1" "$release" "$date"
    make_keyring_rpm "$1" "$release" "$date"
}

# make_keyring_deb FOLDER RELEASE DATE
make_keyring_deb() {
    local name=$keyring_name tree=$work/keyring release=$2 date=$3
    install -D -m 644 "$1/$name.asc" "$tree/usr/share/keyrings/$name.asc"
    install -D -m 644 "$here/deploy/packages/deb/copyright" "$tree/usr/share/doc/$name/copyright"
    {
        printf '%s (%s) stable; urgency=medium\n\n  * Keys that the repository is signed with:\n' "$name" "$release"
        printf '    now %s,\n    next %s.\n\n' "$archive_key" "$next_archive_key"
        printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date "@$date")"
    } | gzip -9n >"$tree/usr/share/doc/$name/changelog.gz"
    chmod 644 "$tree/usr/share/doc/$name/changelog.gz"
    mkdir "$tree/DEBIAN"
    cat >"$tree/DEBIAN/control" <<END
Package: $name
Version: $release
Architecture: all
Multi-Arch: foreign
Maintainer: $maintainer
Section: misc
Priority: optional
Homepage: https://github.com/skewguard/skewguard
Description: keys of the skewguard repository
 The repository of skewguard is signed with one of the keys in this package. The
 other one takes over some day; a host that has this package then goes on
 without a change.
END
    (cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    chmod -R u=rwX,go=rX "$tree"
    keyring_deb=$work/${name}_${release}_all.deb
    SOURCE_DATE_EPOCH=$date dpkg-deb --root-owner-group -Zxz --build "$tree" "$keyring_deb" >/dev/null
    rm -rf "$tree"
}

# make_keyring_rpm FOLDER RELEASE DATE: dnf imports a key of these files when it first meets it. They are no configuration,
# so that an upgrade brings the next ones whatever lies there.
make_keyring_rpm() {
    local name=$keyring_name folder=$work/keyring-rpm
    mkdir "$folder"
    cat >"$folder/$name.spec" <<END
Name: $name
Version: $2
Release: 1
Summary: Keys of the skewguard repository
License: MIT OR Apache-2.0
URL: https://github.com/skewguard/skewguard
Packager: $maintainer
Group: System Environment/Base
BuildArch: noarch

%description
The repository of skewguard is signed with one of the keys in this package. The
other one takes over some day; a host that has this package then goes on
without a change.

%install
install -D -m 644 -t %{buildroot}/etc/pki/rpm-gpg "$1/RPM-GPG-KEY-skewguard" "$1/RPM-GPG-KEY-skewguard-next"

%files
%attr(0644, root, root) /etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard
%attr(0644, root, root) /etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard-next

%changelog
* $(LC_ALL=C date --utc --date "@$3" '+%a %b %d %Y') $maintainer - $2-1
- Keys that the repository is signed with: now $archive_key,
  next $next_archive_key.
END
    # rpm 4.11, as of Amazon Linux 2 and RHEL 7, reads gzip and not zstd.
    SOURCE_DATE_EPOCH=$3 rpmbuild -bb --define "_topdir $folder" --define "_rpmdir $folder" --define '_build_name_fmt keyring.rpm' \
        --define '_binary_payload w9.gzdio' --define '_buildhost localhost' --define 'use_source_date_epoch_as_buildtime 1' \
        --define 'clamp_mtime_to_source_date_epoch 1' --define 'build_mtime_policy clamp_to_source_date_epoch' \
        "$folder/$name.spec" >"$work/rpmbuild.log" 2>&1 ||
        die "rpmbuild does not pack $name: $(tail -n 3 "$work/rpmbuild.log")"
    keyring_rpm=$work/$name-$2-1.noarch.rpm
    mv "$folder/keyring.rpm" "$keyring_rpm"
    rm -rf "$folder"
}
