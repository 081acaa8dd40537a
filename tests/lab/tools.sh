# shellcheck shell=bash
# The real servers of the lab, and what else its tests use, unpacked or built below target/lab. Read by tests/run.

packages=(chrony ntpsec libfaketime prometheus prometheus-alertmanager prometheus-node-exporter nginx lighttpd)
s3=$here/tests/s3
# What makes roots of Debian, and boots them, for the tests of packages.
container_packages=(systemd-container libsystemd-shared mmdebstrap debian-archive-keyring)
# What a guest needs, whose clock is really set, on the one architecture that it is written for.
guest_architecture=x86_64
guest_packages=(qemu-system-x86 busybox-static)
# Files that QEMU reads; what else these packages contain, and the libraries for that, is not used.
guest_files=(qemu-system-common qemu-system-data seabios)
guest_kernel_debian=linux-image-cloud-amd64
guest_kernel_ubuntu=linux-image-virtual
victoria_at_least=1.93
# Where a newer VictoriaMetrics is looked for: names that mean a newer release for ever, not the names of releases.
victoria_suites_debian=(stable testing)
victoria_suites_ubuntu=(devel)

prepare_lab() {
    say "Preparing the lab in target/lab"
    mkdir -p "$root" "$debs"
    command -v apt-get >/dev/null || die "apt-get is missing: the lab is made for Debian and Ubuntu; use --without-lab"
    need_command setpriv util-linux
    if has_guest; then
        packages+=("${guest_packages[@]}")
        unpack_guest_files
        prepare_clock_guest
    else
        warn "the tests in a guest (lab_vm, lab_phc, lab_vmclock_guest, and one of lab_coverage) are not run: they need $guest_architecture, and this is $(uname -m)"
    fi
    local package
    packages+=("${container_packages[@]}")
    for package in "${packages[@]}"; do
        unpack "$package"
    done
    unpack_openntpd
    unpack_victoria
    install_moto
    install_helm
    install_grafana
    install_sdks
    install_perses
    install_chromium
    install_s3
    unpack_missing_libraries
    check_lab
    # mmdebstrap is written in it.
    need_command perl perl
}

has_guest() { [[ $(uname -m) == "$guest_architecture" ]]; }

unpack_guest_files() {
    local name=$guest_kernel_debian package
    for package in "${guest_files[@]}"; do
        unpack "$package"
    done
    is_ubuntu && name=$guest_kernel_ubuntu
    unpack_kernel "$name"
}

# unpack_kernel PACKAGE: the kernel that a release names so, and its modules.
unpack_kernel() {
    local name=$1 kernel package
    [[ -e $debs/kernel.done ]] && return
    # The package by which a release names its kernel is empty; the kernel is in the one that it depends on.
    kernel=$(dependencies "$name" | grep '^linux-image-') ||
        { use_own_lists machine && kernel=$(dependencies "$name" | grep '^linux-image-'); } ||
        die "no kernel found for the guest: apt-cache depends $name"
    unpack "$kernel"
    # Some releases split the kernel: its image, its modules and the lists of these are in packages of their own.
    for package in $(dependencies "$kernel" | sed -nE '/^linux-(base|binary|modules)-/p'); do
        unpack "$package"
    done
    touch "$debs/kernel.done"
}

# unpack_openntpd: which calls itself as the ntpd of ntpsec does, so that it lies in a root of its own.
unpack_openntpd() {
    local root=$lab/openntpd/root debs=$lab/openntpd/debs
    mkdir -p "$root" "$debs"
    unpack openntpd
}

unpack_victoria() {
    [[ -e $debs/victoria-metrics.done ]] && return
    local machines_apt=("${own_apt[@]}") suites=("${victoria_suites_debian[@]}") suite
    if is_ubuntu; then
        suites=("${victoria_suites_ubuntu[@]}")
    fi
    for suite in "${suites[@]}"; do
        is_victoria_new_enough && break
        use_suite "$suite"
    done
    is_victoria_new_enough ||
        die "no victoria-metrics >= $victoria_at_least found in this machine's release nor in ${suites[*]}: see $lab/apt/update.log"
    unpack victoria-metrics
    own_apt=("${machines_apt[@]}")
}

is_victoria_new_enough() { is_at_least "$(candidate victoria-metrics)" "$victoria_at_least"; }

# Libraries of the unpacked programs that this machine lacks are unpacked as well; the lab finds them by itself.
# First those that the programs name, then those that these name, and so on: most of what lies deeper is not needed.
unpack_missing_libraries() {
    local level=("${packages[@]}" victoria-metrics) depth library
    for depth in 1 2 3 4; do
        [[ -n $(missing_libraries) ]] || return 0
        mapfile -t level < <(dependencies "${level[@]}" | sed -nE '/^lib[a-z0-9.+-]+$/p' | sort -u)
        for library in "${level[@]}"; do
            is_installed "$library" || unpack "$library"
        done
    done
    [[ -z $(missing_libraries) ]] ||
        die "the lab's programs lack shared libraries ($depth levels deep): $(missing_libraries | paste -sd' ')"
}

# Prints the libraries that programs of the lab need and that neither the machine nor the lab has.
missing_libraries() {
    local name path programs=()
    for name in chronyd chronyc ntpd nginx lighttpd victoria-metrics prometheus-alertmanager qemu-system-x86_64 systemd-nspawn; do
        path=$(unpacked_program "$name") && programs+=("$path")
    done
    # A newer QEMU takes the libraries of the lab.
    for name in qemu-system-x86_64 udevadm; do
        path=$(root=$lab/guests/root unpacked_program "$name") && programs+=("$path")
    done
    # It fails for a program that needs no library at all, which is nothing wrong.
    { LD_LIBRARY_PATH=$(libraries) ldd "${programs[@]}" 2>/dev/null || true; } |
        sed -n 's/^\s*\(\S*\) => not found/\1/p' | sort -u
}

# The releases that the tests were written against: another one may do its work differently.
install_moto() {
    local wanted=$here/tests/requirements.txt
    cmp -s "$wanted" "$lab/venv/requirements.txt" && "$lab/venv/bin/python" -c 'import moto, botocore, rotel' 2>/dev/null && return
    # One that another release of Python made does not work with this one.
    if ! "$lab/venv/bin/python" -m pip --version >/dev/null 2>&1 && ! python3 -m venv --clear "$lab/venv" >/dev/null 2>&1; then
        install_packages python3 python3-venv
        python3 -m venv --clear "$lab/venv"
    fi
    "$lab/venv/bin/python" -m pip install --quiet -r "$wanted" ||
        die "failed to install moto, botocore and rotel with pip, for $(python3 --version): see tests/requirements.txt"
    [[ -x $lab/venv/bin/moto_server ]] || die "moto has no program moto_server: see tests/requirements.txt"
    cp "$wanted" "$lab/venv/requirements.txt"
    warn "installed moto, botocore and rotel"
}

# An S3 server that refuses wrong signatures. It is built from source, which takes some minutes, but only once.
install_s3() {
    local built=$lab/s3s/bin/lab-s3
    [[ $built -nt $s3/src/main.rs && $built -nt $s3/Cargo.lock ]] && return
    say "Building the S3 server"
    # In the folder where its lints have compiled a part of it.
    cargo build --quiet --locked --manifest-path "$s3/Cargo.toml" --target-dir "$target" ||
        die "failed to build tests/s3 with cargo"
    install -D "$target/debug/lab-s3" "$built"
    warn "built the S3 server"
}
