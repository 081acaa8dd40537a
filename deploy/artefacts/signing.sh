# shellcheck shell=bash
# The checksums and all that is signed. Read by deploy/release, deploy/sign and
# deploy/push.
#
# SHA256SUMS names everything that the same commit gives again, with keys or without. What only the owner of the keys can
# make is not in it, because it vouches for itself: the repositories, what is signed for Windows, the signatures and the public
# keys.

# Where a host finds the repositories, unless --repository-url says otherwise.
repository_url=https://skewguard.github.io/skewguard

# write_sums FOLDER
write_sums() {
    (
        cd "$1"
        mapfile -t names < <(list_summed .)
        sha256sum -- "${names[@]}" >SHA256SUMS
    )
}

# list_summed FOLDER: what its checksums are of.
list_summed() {
    find "$1" -type f ! -path "$1/repositories/*" ! -path "$1/windows/*" ! -path "$1/keys/*" ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort
}

# check_dist FOLDER: that it is what was built, whole and without additions. Sets `version`.
check_dist() {
    [[ -e $1/SHA256SUMS ]] || die "$1 has no SHA256SUMS: deploy/release makes it"
    (cd "$1" && sha256sum --check --strict --quiet SHA256SUMS) || die "what is in $1 is not what was built"
    [[ $(list_summed "$1") == "$(sed 's/^[0-9a-f]*  //' "$1/SHA256SUMS")" ]] || die "$1 has other files than its SHA256SUMS says"
    version=$(sed -n 's/^[0-9a-f]*  skewguard-\([0-9][^-]*\)-manual.tar.gz$/\1/p' "$1/SHA256SUMS")
    [[ -n $version ]] || die "$1/SHA256SUMS does not say which version it is"
}

# sign_release FROM INTO: the repositories of the packages in the one folder, and the signatures of its checksums, into
# the other, which may be the same.
sign_release() {
    open_keys
    make_repositories "$1" "$2/repositories"
    sign_windows "$1" "$2"
    sign_sums "$1/SHA256SUMS" "$2"
    say "Putting the public keys beside them"
    mkdir "$2/keys"
    cp "$2/repositories/skewguard-archive-keyring.asc" "$2/keys"
    install -m 644 "$keys/minisign.pub" "$keys/cosign.pub" "$2/keys"
    ! has_certificate || install -m 644 "$keys/authenticode.crt" "$2/keys"
    close_keys
}

# sign_sums FILE FOLDER: twice, for who has either program.
sign_sums() {
    say "Signing the checksums"
    minisign_with_key -S -m "$1" -x "$2/SHA256SUMS.minisig" -c 'signature of a skewguard release' -t "skewguard $version"
    # With a key and offline: who verifies it asks nobody, and needs no identity of anybody's.
    COSIGN_PASSWORD=${COSIGN_PASSWORD:-} cosign sign-blob --yes --key "$keys/cosign.key" --tlog-upload=false \
        --new-bundle-format --bundle "$2/SHA256SUMS.sigstore.json" "$1" >/dev/null 2>"$work/cosign.log" ||
        die "cosign does not sign: $(tail -n 3 "$work/cosign.log")"
    chmod 644 "$2/SHA256SUMS.sigstore.json"
}

minisign_with_key() {
    local passphrase=${SKEWGUARD_MINISIGN_PASSPHRASE:-}
    # It asks for a passphrase even where there is none, unless it is told.
    if [[ -n $passphrase ]]; then
        minisign -s "$keys/minisign.key" "$@" <<<"$passphrase" >"$work/minisign.log" 2>&1
    else
        minisign -W -s "$keys/minisign.key" "$@" </dev/null >"$work/minisign.log" 2>&1
    fi || die "minisign does not sign: $(tail -n 3 "$work/minisign.log")"
}

# -- Keys

gnupg=''

# check_keys: before what takes long.
check_keys() {
    local file
    for file in archive.asc archive-next.pub.asc {minisign,cosign}.{key,pub}; do
        [[ -e $keys/$file ]] || die "$keys has no $file: see deploy/keys --help"
    done
    need gpg:gnupg minisign cosign apt-ftparchive:apt-utils dpkg-deb:dpkg createrepo_c:createrepo-c rpmbuild:rpm rpmsign:rpm
    ! has_certificate || need osslsigncode python3
}

# open_keys: unlocks the archive's key, in a folder of its own, until close_keys.
open_keys() {
    # Short, for it holds sockets.
    gnupg=$(mktemp -d "${TMPDIR:-/tmp}/skewguard-keys.XXXXXX")
    # rpmsign has no place for a passphrase: it relies on the agent to remember it.
    printf 'default-cache-ttl 86400\nmax-cache-ttl 86400\n' >"$gnupg/gpg-agent.conf"
    in_gpg --import "$keys/archive.asc" "$keys/archive-next.pub.asc" 2>"$work/gpg.log" ||
        die "gpg does not read the keys of the archive: $(tail -n 3 "$work/gpg.log")"
    archive_key=$(fingerprint "$keys/archive.asc")
    next_archive_key=$(fingerprint "$keys/archive-next.pub.asc")
    [[ $archive_key != "$next_archive_key" ]] || die "archive.asc and archive-next.pub.asc are the same key"
    in_gpg --local-user "$archive_key" --pinentry-mode loopback --passphrase-fd 3 --output "$work/opened" --detach-sign "$keys/archive-next.pub.asc" \
        3< <(printf '%s' "${SKEWGUARD_ARCHIVE_PASSPHRASE:-}") 2>"$work/gpg.log" ||
        die "SKEWGUARD_ARCHIVE_PASSPHRASE does not open archive.asc: $(tail -n 3 "$work/gpg.log")"
}

# close_keys: also called where nothing was opened.
close_keys() {
    [[ -n $gnupg ]] || return 0
    gpgconf --homedir "$gnupg" --kill all || true
    rm -rf "$gnupg"
    gnupg=''
}

in_gpg() { gpg --homedir "$gnupg" --batch --no-tty --quiet --yes --no-auto-check-trustdb --digest-algo SHA512 "$@"; }

# sign ARGUMENT...: with the archive's key.
sign() { in_gpg --local-user "$archive_key" "$@" || die "gpg does not sign"; }

fingerprint() { in_gpg --show-keys --with-colons "$1" | sed -n '/^fpr:/{s/^fpr:*\([^:]*\):$/\1/p;q;}'; }
