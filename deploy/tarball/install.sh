#!/bin/sh
# Installs skewguard below /usr/local, or upgrades it. See --help.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
unit=skewguard.service
share=/usr/local/share/skewguard
units=/usr/local/lib/systemd/system
# All that is installed, for the next version and for uninstall.sh: what was made last stands last.
list=$share/installed
# Before that, DynamicUser= and StateDirectory= were unknown, and were ignored.
systemd_at_least=235

usage() {
    cat <<'END'
Usage: install.sh [--root DIR]

Installs skewguard below /usr/local with its service, or upgrades it. Nothing in /etc/skewguard is touched. A service that
was disabled, masked or stopped is left so.

  --root DIR  into an image that is mounted there; nothing is started
END
}

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
say() { printf 'skewguard: %s\n' "$*"; }

main() {
    read_arguments "$@"
    check_host
    # The mode of all that is made.
    umask 022
    is_changed=no
    is_upgrade=no
    if [ -e "$root$list" ]; then
        is_upgrade=yes
    fi
    mkdir_all "$share"
    make_user
    put_all
    remove_former
    enable_unit
    say "installed $(cat "$here/VERSION") below $root/usr/local"
    if [ -n "$root" ]; then
        return
    fi
    # In a chroot, as where an image is built, the next boot starts it.
    if [ -d /run/systemd/system ] && ! is_chroot; then
        check_config
        start
    fi
}

read_arguments() {
    root=
    while [ $# -gt 0 ]; do
        case $1 in
            --root)
                [ -d "${2:-}" ] || die "--root needs a folder"
                root=$(cd "$2" && pwd)
                shift
                ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && exit 64 ;;
        esac
        shift
    done
    [ "$root" != / ] || root=
}

# -- The host

check_host() {
    [ "$(id -u)" = 0 ] || die "this takes root: sudo $0"
    if owner=$(owner_of /usr/bin/skewguard); then
        die "/usr/bin/skewguard is of the package $owner: upgrade that, or remove it before"
    fi
    if [ -z "$root" ] && ! "$here/skewguard" --version >/dev/null 2>&1; then
        die "the program does not run here: this tarball is for another architecture than $(uname -m)"
    fi
    # Whoever starts services here in its place needs no unit.
    systemd=$(inside systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p') || true
}

# Runs a command of the host, or of the image.
inside() {
    if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi
}

# The package that a file is of, if it is of one.
owner_of() {
    [ -e "$root$1" ] || return 1
    if package=$(inside dpkg-query --search "$1" 2>/dev/null); then
        echo "${package%%:*}"
    else
        inside rpm --query --file "$1" 2>/dev/null
    fi
}

is_chroot() { systemd-detect-virt --quiet --chroot 2>/dev/null; }

is_old() { [ "$systemd" -lt "$systemd_at_least" ]; }

# -- Files

# mkdir_all FOLDER: with all above it, and notes which were not there.
mkdir_all() {
    [ ! -d "$root$1" ] || return 0
    mkdir_all "${1%/*}"
    mkdir "$root$1"
    # The first of them is where the list is.
    made="${made:-}$1
"
    note_made
}

note_made() {
    [ -d "$root$share" ] || return 0
    printf '%s' "$made" >>"$root$share/folders"
    made=
}

# put MODE FROM TO: and notes that it is installed, and whether that is new.
put() {
    mkdir_all "${3%/*}"
    echo "$3" >>"$root$list.new"
    if cmp -s "$2" "$root$3"; then
        return
    fi
    # A program that runs cannot be written to, but replaced.
    cp "$2" "$root$3.new"
    chmod "$1" "$root$3.new"
    mv -f "$root$3.new" "$root$3"
    case $3 in */skewguard | */"$unit") is_changed=yes ;; esac
}

put_all() {
    : >"$root$list.new"
    put 755 "$here/skewguard" /usr/local/bin/skewguard
    put_units
    for page in "$here"/man/*.gz; do
        put 644 "$page" "/usr/local/share/man/man1/${page##*/}"
    done
    put 644 "$here/completions/skewguard.bash" /usr/local/share/bash-completion/completions/skewguard
    put 644 "$here/completions/skewguard.fish" /usr/local/share/fish/vendor_completions.d/skewguard.fish
    put 644 "$here/completions/_skewguard" /usr/local/share/zsh/site-functions/_skewguard
    put 644 "$here/config/skewguard.schema.json" "$share/skewguard.schema.json"
    doc=/usr/local/share/doc/skewguard
    for file in README CHANGELOG.md config/skewguard.yaml licences/LICENSE-APACHE licences/LICENSE-MIT licences/THIRD-PARTY-LICENSES; do
        put 644 "$here/$file" "$doc/${file##*/}"
    done
    for file in "$here"/config/examples/*.yaml; do
        put 644 "$file" "$doc/examples/${file##*/}"
    done
    for file in "$here"/systemd/examples/*.conf; do
        put 644 "$file" "$doc/examples/systemd/${file##*/}"
    done
    for file in "$here"/udev/*.rules; do
        put 644 "$file" "$doc/examples/udev/${file##*/}"
    done
    put 755 "$here/uninstall.sh" "$share/uninstall.sh"
}

put_units() {
    if [ -z "$systemd" ]; then
        say "there is no systemd: have \`skewguard run\` started by what starts services here, as a user of its own"
        return
    fi
    if is_old; then
        put_unit_as skewguard-219.service "$unit"
    else
        put_unit_as "$unit" "$unit"
        # Whoever wants it enables it.
        put_unit_as skewguard-wait.service skewguard-wait.service
    fi
}

# put_unit_as SOURCE NAME: with the path of this program.
put_unit_as() {
    sed 's,/usr/bin/skewguard,/usr/local/bin/skewguard,' "$here/systemd/$1" >"$root$share/unit"
    put 644 "$root$share/unit" "$units/$2"
    rm "$root$share/unit"
}

# What a former version had and this one has not.
remove_former() {
    if [ -e "$root$list" ]; then
        while read -r file; do
            grep -qxF "$file" "$root$list.new" || rm -f "$root$file"
        done <"$root$list"
    fi
    mv "$root$list.new" "$root$list"
}

# systemd from 235 on makes a user as the service starts; before, it would have run as root.
make_user() {
    if [ -z "$systemd" ] || ! is_old; then
        return
    fi
    say "systemd $systemd is older than $systemd_at_least: the service gets the user skewguard"
    if ! inside id -u skewguard >/dev/null 2>&1; then
        nologin=/usr/sbin/nologin
        [ -e "$root$nologin" ] || nologin=/sbin/nologin
        inside useradd --system --user-group --home-dir /var/lib/skewguard --no-create-home --shell "$nologin" skewguard ||
            die "failed to make the user skewguard: the service must not run as root"
        : >"$root$share/user"
    fi
    [ "$(inside id -u skewguard)" != 0 ] || die "the user skewguard is root: the service must not run as root"
    mkdir -p "$root/var/lib/skewguard"
    inside chown skewguard:skewguard /var/lib/skewguard
    chmod 700 "$root/var/lib/skewguard"
}

# -- The service

# Enabled at first, and afterwards as the administrator has left it.
enable_unit() {
    if [ -z "$systemd" ] || [ "$is_upgrade" = yes ]; then
        return
    fi
    # One that is masked cannot be enabled, and stays masked.
    if [ -z "$root" ]; then
        systemctl --quiet enable "$unit" 2>/dev/null || say 'the service is masked, and is not enabled'
    else
        inside systemctl --quiet enable "$unit" 2>/dev/null || say 'the service is masked, and is not enabled'
    fi
}

check_config() {
    config=/etc/skewguard/skewguard.yaml
    if [ -e "$config" ] && ! said=$(/usr/local/bin/skewguard config check "$config" 2>&1); then
        printf 'skewguard: the configuration is wrong, so that the service does not start:\n%s\n' "$said" >&2
    fi
}

start() {
    [ -n "$systemd" ] || return 0
    systemctl daemon-reload
    state=$(systemctl show --property=ActiveState "$unit")
    if [ "$is_upgrade" = no ]; then
        systemctl --quiet is-enabled "$unit" 2>/dev/null || return 0
        systemctl restart "$unit" || true
    elif [ "$state" = ActiveState=inactive ]; then
        say 'the service did not run before, and is not started now'
        return
    elif [ "$is_changed" = no ]; then
        say 'the service has this version already, and runs on'
    elif [ "$state" = ActiveState=failed ]; then
        systemctl --quiet is-enabled "$unit" 2>/dev/null && systemctl restart "$unit" || true
    else
        systemctl try-restart "$unit" || true
    fi
    tell
}

# One line of what the service finds on this host.
tell() {
    if ! systemctl --quiet is-active "$unit"; then
        if systemctl --quiet is-failed "$unit"; then
            say 'the service does not start: journalctl --unit skewguard' >&2
        fi
        return 0
    fi
    line=$(env -i HOME=/nonexistent timeout 8 /usr/local/bin/skewguard status --brief --wait 5s 2>/dev/null) || true
    say "${line:-the service runs; \`skewguard status\` says what it finds}"
}

main "$@"
