# shellcheck shell=bash
# The Debian package. Read by deploy/release.

# Counts the packages that are made of one version.
debian_revision=1
maintainer='The skewguard authors <skewguard@users.noreply.github.com>'

pack_debs() {
    local arch stage
    # It judges how the package is laid out; a static program needs no library.
    has dpkg-deb "the Debian packages" "the package dpkg-dev" || return 0
    for arch in "${!programs[@]}"; do
        say "Packing the Debian package for $arch"
        stage=$(stage_of "$arch")
        debian_changelog | gzip -9n >"$stage/changelog.Debian.gz"
        gzip -9n <"$third_party" >"$stage/THIRD-PARTY-LICENSES.gz"
        CARGO_TARGET_DIR=$work/stage "$tools/bin/cargo-deb" --quiet --locked --no-build --no-strip --package skewguard \
            --target "$(triple_of "$arch")" --manifest-path agent/Cargo.toml --maintainer "$maintainer" \
            --deb-version "$version-$debian_revision" --output "$artefacts/" >/dev/null
    done
}

# Debian wants one of its own form; what has changed stands in the project's.
debian_changelog() {
    printf 'skewguard (%s-%s) stable; urgency=medium\n\n' "$version" "$debian_revision"
    printf '  * Release %s: see changelog.gz.\n\n' "$version"
    printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date "@$SOURCE_DATE_EPOCH")"
}
