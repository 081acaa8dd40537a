# shellcheck shell=bash
# What Windows trusts: the program and the scripts signed (Authenticode), packed once more, and the package signed as well. Read
# by deploy/release and deploy/sign.
#
# A signature is another one each time, so that the zip and the package of SHA256SUMS have none. These here are made of that zip,
# and vouch for themselves.

# has_certificate: whether there is one to sign with.
has_certificate() { [[ -e $keys/authenticode.key && -e $keys/authenticode.crt ]]; }

# sign_windows FROM INTO: what is in the zip of the release of the one folder, into the other.
sign_windows() {
    local what="what is signed for Windows" zip=$1/$(windows_name).zip into=$2/windows script
    has_certificate || { lacks "$what" "$keys has no authenticode.key and authenticode.crt"; return 0; }
    [[ -e $zip ]] || { lacks "$what" "there is no ${zip##*/}"; return 0; }
    can_make_msi || return 0
    say "Signing what is for Windows"
    mkdir -p "$into" "$work/authenticode"
    # Its date is that of all that is made of it.
    SOURCE_DATE_EPOCH=$(unpack_zip "$zip" "$work/authenticode")
    export SOURCE_DATE_EPOCH
    windows_stage=$work/authenticode/$(windows_name)
    for script in "$windows_stage"/skewguard.exe "$windows_stage"/*.ps1; do
        authenticate "$script"
    done
    pack_windows_zip "$into/$(windows_name).signed.zip"
    make_msi "$windows_stage" "$version" "$work/$(msi_name)"
    authenticate "$work/$(msi_name)"
    install -m 644 "$work/$(msi_name)" "$into/skewguard-$version-x86_64.signed.msi"
    render_windows_manifests "$into/skewguard-$version-x86_64.signed.msi" "$into"
}

# unpack_zip FILE FOLDER: tells the date that is in it.
unpack_zip() {
    python3 - "$@" <<'END'
import calendar, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as zipped:
    zipped.extractall(sys.argv[2])
    print(calendar.timegm(zipped.infolist()[0].date_time + (0, 0, 0)))
END
}

# authenticate FILE: in its place.
authenticate() {
    local options=() passphrase=${SKEWGUARD_AUTHENTICODE_PASSPHRASE:-}
    # Without the word of a server, it is worth nothing once the certificate has expired.
    [[ ! -e $keys/authenticode.url ]] || options+=(-ts "$(cat "$keys/authenticode.url")")
    # It is no argument, which everybody could read.
    if [[ -n $passphrase ]]; then
        (umask 077 && printf '%s' "$passphrase" >"$work/passphrase")
        options+=(-readpass "$work/passphrase")
    fi
    osslsigncode sign -certs "$keys/authenticode.crt" -key "$keys/authenticode.key" -h sha256 \
        -n skewguard -i https://github.com/skewguard/skewguard "${options[@]}" -in "$1" -out "$1.signed" >"$work/osslsigncode.log" 2>&1 ||
        die "osslsigncode does not sign ${1##*/}: $(tail -n 3 "$work/osslsigncode.log")"
    rm -f "$work/passphrase"
    mv "$1.signed" "$1"
}
