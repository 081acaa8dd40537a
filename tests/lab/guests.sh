# shellcheck shell=bash
# Guests with a device that the lab's usual ones lack: a network card with a clock, and a kernel that has its driver. Below
# target/lab/guests, because the usual ones take the newest kernel that they find. Read by tests/run.

# The first release of QEMU with the card igb, whose clock is right. That of e1000e runs at twice the speed.
qemu_at_least=1:8.0
# The kernel for clouds has no drivers of real cards.
clock_kernel_debian=linux-image-amd64
clock_kernel_ubuntu=linux-image-generic

has_clock_guest() { has_guest && [[ -e $lab/guests/ready ]]; }

prepare_clock_guest() {
    # Where `unpack` and its like put things, and leave their marks.
    local root=$lab/guests/root debs=$lab/guests/debs name=$clock_kernel_debian
    has_guest || return 0
    has_clock_guest && return
    mkdir -p "$root" "$debs"
    if is_ubuntu; then
        name=$clock_kernel_ubuntu
    fi
    unpack_kernel "$name"
    # Which gives devices their modes.
    unpack udev
    if is_qemu_new_enough || unpack_newer_qemu; then
        touch "$lab/guests/ready"
    else
        warn "the tests in a guest with a clock of hardware (lab_phc) are not run: they need QEMU >= ${qemu_at_least#*:}"
    fi
}

# unpack_newer_qemu: out of the backports to this release, whose libraries are the machine's or the lab's.
unpack_newer_qemu() {
    local own_apt=() package
    is_ubuntu && return 1
    use_suite "$(. /etc/os-release && echo "$VERSION_CODENAME")-backports"
    is_qemu_new_enough || return 1
    for package in qemu-system-x86 "${guest_files[@]}"; do
        unpack "$package"
    done
}

is_qemu_new_enough() {
    local candidate
    candidate=$(apt-cache "${own_apt[@]}" policy qemu-system-x86 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [[ -n $candidate && $candidate != '(none)' ]] && dpkg --compare-versions "$candidate" ge "$qemu_at_least"
}
