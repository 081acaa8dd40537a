#!/bin/sh
# Removes what install.sh has installed. See --help.
set -eu

unit=skewguard.service
# install.sh does not enable it, but an administrator may have.
wait=skewguard-wait.service
share=/usr/local/share/skewguard

usage() {
    cat <<'END'
Usage: uninstall.sh [--keep-state] [--root DIR]

Stops skewguard and removes all of it, but for /etc/skewguard and drop-ins of yours.

  --keep-state  leave what it has learnt of this host and what it has not delivered yet
  --root DIR    from an image that is mounted there
END
}

die() { printf 'uninstall.sh: %s\n' "$*" >&2; exit 1; }

main() {
    read_arguments "$@"
    [ "$(id -u)" = 0 ] || die "this takes root: sudo $0"
    [ -e "$root$share/installed" ] || die "$root$share/installed is missing: install.sh has installed nothing here"
    stop
    while read -r file; do
        rm -f "$root$file"
    done <"$root$share/installed"
    if [ -e "$root$share/user" ]; then
        inside userdel skewguard 2>/dev/null || true
    fi
    if [ "$keep_state" = no ]; then
        # The one is a link to the other, or a folder where the service has a user of its own.
        rm -rf "$root/var/lib/skewguard" "$root/var/lib/private/skewguard"
    fi
    folders=$(cat "$root$share/folders" 2>/dev/null) || true
    rm -f "$root$share/installed" "$root$share/user" "$root$share/folders"
    # The deepest first; where something else has come into one, it stays.
    printf '%s\n' "$folders" | sort -r | while read -r folder; do
        [ -z "$folder" ] || rmdir "$root$folder" 2>/dev/null || true
    done
    if is_running_systemd; then
        systemctl daemon-reload
        # One that has failed would be told as failed for ever.
        systemctl reset-failed "$unit" "$wait" 2>/dev/null || true
    fi
    echo 'skewguard: removed'
}

read_arguments() {
    root='' keep_state=no
    while [ $# -gt 0 ]; do
        case $1 in
            --keep-state) keep_state=yes ;;
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

# Runs a command of the host, or of the image.
inside() {
    if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi
}

is_running_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

stop() {
    inside systemctl --no-reload --quiet disable "$unit" >/dev/null 2>&1 || true
    inside systemctl --no-reload --quiet disable "$wait" >/dev/null 2>&1 || true
    # One that is masked cannot be disabled: its mask stays, and nothing that points to nowhere.
    rm -f "$root"/etc/systemd/system/*.wants/"$unit" "$root"/etc/systemd/system/*.wants/"$wait"
    if is_running_systemd; then
        systemctl stop "$unit" "$wait" 2>/dev/null || true
    fi
}

main "$@"
