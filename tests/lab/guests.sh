# shellcheck shell=bash
# Guests with devices that the lab's usual ones lack: a network card with a clock, VMClock, and a kernel that has the drivers of
# both. Below target/lab/guests, because the usual ones take the newest kernel that they find. Read by tests/run.

# The first releases of QEMU with the card igb, whose clock is right (that of e1000e runs at twice the speed), and with VMClock.
qemu_with_igb=1:8.0
qemu_with_vmclock=1:10.0
igb_needs="QEMU >= ${qemu_with_igb#*:}"
vmclock_needs="QEMU >= ${qemu_with_vmclock#*:} and a kernel with its driver"
# The kernel for clouds has no drivers of real cards, and Debian's that of VMClock since this release.
clock_kernel_debian=linux-image-amd64
clock_kernel_ubuntu=linux-image-generic
kernel_with_vmclock=7.2
# Where it is looked for: names that mean a newer release for ever, the smallest download first.
kernel_suites=(stable-backports stable testing)

# `ready` names the devices that a guest can have. What it lacks is tried again in the next run.
has_clock_guest() { has_guest && grep -qsx igb "$lab/guests/ready"; }
has_vmclock_guest() { has_guest && grep -qsx vmclock "$lab/guests/ready"; }

prepare_clock_guest() {
    # Where `unpack` and its like put things, and leave their marks.
    local root=$lab/guests/root debs=$lab/guests/debs qemu
    has_guest || return 0
    has_vmclock_guest && return
    mkdir -p "$root" "$debs"
    # Which gives devices their modes.
    unpack udev
    qemu=$(candidate qemu-system-x86)
    is_at_least "$qemu" "$qemu_with_vmclock" || is_ubuntu || unpack_newer_qemu
    if ! is_at_least "$qemu" "$qemu_with_igb"; then
        warn "the tests in a guest with a clock of hardware (lab_phc, lab_vmclock_guest) are not run: they need $igb_needs"
        return
    fi
    unpack_clock_kernel
    echo igb >"$lab/guests/made"
    if is_at_least "$qemu" "$qemu_with_vmclock" && has_driver ptp_vmclock; then
        echo vmclock >>"$lab/guests/made"
    else
        warn "the tests in a guest with VMClock (lab_vmclock_guest) are not run: they need $vmclock_needs"
    fi
    mv "$lab/guests/made" "$lab/guests/ready"
}

# unpack_newer_qemu: out of the backports to this release, whose libraries are the machine's or the lab's.
unpack_newer_qemu() {
    local own_apt=() newer package
    try_suite "$(. /etc/os-release && echo "$VERSION_CODENAME")-backports" || return 0
    newer=$(candidate qemu-system-x86)
    is_at_least "$newer" "$qemu_with_igb" || return 0
    for package in qemu-system-x86 "${guest_files[@]}"; do
        unpack "$package"
    done
    qemu=$newer
}

# unpack_clock_kernel: this release's, or the first with the driver of VMClock where QEMU has the device.
unpack_clock_kernel() {
    local machines_apt=("${own_apt[@]}") name=$clock_kernel_debian suite
    if is_ubuntu; then
        name=$clock_kernel_ubuntu
    elif is_at_least "$qemu" "$qemu_with_vmclock" && ! has_driver ptp_vmclock; then
        for suite in "${kernel_suites[@]}"; do
            is_at_least "$(candidate "$name")" "$kernel_with_vmclock" && break
            try_suite "$suite" || true
        done
        if is_at_least "$(candidate "$name")" "$kernel_with_vmclock"; then
            # One of an earlier run that has no such driver.
            rm -rf "$root/boot" "$root"/{,usr/}lib/modules "$debs/kernel.done" "$debs"/linux-*.done
        else
            own_apt=("${machines_apt[@]}")
        fi
    fi
    unpack_kernel "$name"
    own_apt=("${machines_apt[@]}")
}

# has_driver MODULE: whether a kernel that was unpacked has it.
has_driver() { [[ -n $(find "$root" -name "$1.ko*" -print -quit) ]]; }
