# shellcheck shell=bash
# All that the tests take from packages lies where they look for it, and starts. Read by tests/run.

# check_lab: all that the tests take from packages lies where they look for it, and every program starts. A release
# that is laid out differently is told here, by name, and not by a test that fails for a reason hard to see.
check_lab() {
    local libraries
    libraries=$(libraries)
    check_program chronyd chrony --version
    check_program chronyc chrony --version
    check_program ntpd ntpsec --version
    [[ -x $lab/openntpd/root/usr/sbin/ntpd ]] || die "the package openntpd no longer has the program ntpd"
    check_program nginx nginx -v
    check_program lighttpd lighttpd -v
    check_program prometheus-alertmanager prometheus-alertmanager --version
    check_program victoria-metrics victoria-metrics -version
    check_program promtool prometheus --version
    check_program prometheus prometheus --version
    check_program prometheus-node-exporter prometheus-node-exporter --version
    check_program vmagent victoria-metrics -version
    check_program vmalert victoria-metrics -version
    check_program vmalert-tool victoria-metrics --help
    check_program systemd-nspawn systemd-container --version
    check_file "usr/lib/$(triple)/faketime/libfaketimeMT.so.1" libfaketime
    check_file usr/share/prometheus/alertmanager/default.tmpl prometheus-alertmanager
    has_guest || return 0
    check_program qemu-system-x86_64 qemu-system-x86 --version
    check_program busybox busybox-static --help
    check_file usr/share/seabios/bios-256k.bin seabios
    check_file usr/share/qemu/linuxboot_dma.bin qemu-system-data
    check_kernel
}

# check_program NAME PACKAGE OPTION: the program was unpacked and starts with the libraries that there are.
check_program() {
    local program told
    program=$(unpacked_program "$1") || die "the package $2 no longer has the program $1: $(again "$2")"
    told=$(LD_LIBRARY_PATH=$libraries "$program" "$3" 2>&1 </dev/null) ||
        die "$1 of the package $2 does not start: $(head -n 3 <<<"$told")"
}

check_file() {
    [[ -e $root/$1 ]] || die "the package $2 no longer has $1, which the tests need: $(again "$2")"
}

check_kernel() {
    local names
    names=$(cd "$root" && find . -path './boot/vmlinuz*' -o -path '*/lib/modules/*/*' \( -name vmlinuz -o -name modules.builtin -o -name 'virtio*.ko.*' \))
    [[ $names == *modules.builtin* ]] ||
        die "the guest's kernel has no lib/modules/RELEASE/modules.builtin: $(again kernel)"
    [[ $names == *vmlinuz* ]] ||
        die "the guest's kernel has neither boot/vmlinuz-RELEASE nor lib/modules/RELEASE/vmlinuz: $(again kernel)"
    # Which compression a release has chosen for its modules, the tests need its program.
    [[ $names != *.ko.gz* ]] || need_command gzip gzip
    [[ $names != *.ko.xz* ]] || need_command xz xz-utils
    [[ $names != *.ko.zst* ]] || need_command zstd zstd
}

# again PACKAGE: how to have a package unpacked anew.
again() { printf 'if it was unpacked by an earlier release of this machine, remove %s and start again' "$debs/$1.done"; }

# unpacked_program NAME: where it was unpacked; releases move programs between these folders.
unpacked_program() {
    local folder
    for folder in usr/sbin usr/bin sbin bin; do
        [[ -x $root/$folder/$1 ]] && echo "$root/$folder/$1" && return
    done
    return 1
}

triple() { echo "$(uname -m)-linux-gnu"; }

# Where the lab's own libraries are.
libraries() { echo "$root/usr/lib/$(triple):$root/lib/$(triple):$root/usr/lib/$(triple)/systemd"; }
