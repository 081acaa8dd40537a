# shellcheck shell=bash
# Roots of Debian: those that packages are installed on, and the workshop that a release is made in. Read by tests/run.

# What each has beside the least: a systemd that boots, and for the judgement of the package lintian, the newest.
declare -A roots=(
    [bullseye]=systemd,systemd-sysv,dbus
    [bookworm]=systemd,systemd-sysv,dbus
    [trixie]=systemd,systemd-sysv,dbus,lintian
)
# The workshop is of this release, and has all that deploy/release calls and its artefacts are tried with.
workshop_suite=trixie
workshop=(
    # Programs for every distribution: a compiler with the source of its library.
    rustc-web rust-web-src libstd-rust-web-dev gcc libc6-dev python3-venv
    rust-web-clippy gcc-mingw-w64-x86-64-posix
    # Packages for Windows, and what runs them.
    wixl msitools osslsigncode
    wine wine64
    # Packages and repositories.
    dpkg-dev git rpm rpmlint createrepo-c dnf apt-utils gnupg
    # Images and signatures.
    buildah skopeo podman crun catatonit netavark docker-registry cosign minisign
    # Where what was built runs.
    qemu-user-static cloud-init curl ansible-core ansible-lint python3-apt systemd systemd-sysv dbus iproute2
    ca-certificates
)

# start_roots: makes them while others build, because most of it is waiting for downloads. Each is made once, and anew
# where it is to have other packages.
start_roots() {
    local name
    roots[workshop]=$(IFS=,; echo "${workshop[*]}")
    mkdir -p "$lab/roots"
    root_jobs=()
    for name in "${!roots[@]}"; do
        [[ -d $lab/roots/$name && $(cat "$lab/roots/$name.has" 2>/dev/null) == "${roots[$name]}" ]] && continue
        make_root "$name" "${roots[$name]}" &
        root_jobs+=($!)
    done
}

await_roots() {
    local job
    for job in "${root_jobs[@]}"; do
        wait "$job" || die "failed to make a root of Debian: see the end of $lab/roots/*.log"
    done
}

make_root() {
    local name=$1 include=$2 folder=$lab/roots/$1 suite=$1
    [[ $name != workshop ]] || suite=$workshop_suite
    rm -rf "$folder" "$folder.has" "$folder.new"
    warn "making a root of Debian: $name"
    "$root/usr/bin/mmdebstrap" --mode=root --format=directory --variant=minbase --include="$include" \
        --keyring="$root/usr/share/keyrings" --aptopt='APT::Sandbox::User "root"' "$suite" "$folder.new" \
        >"$folder.log" 2>&1
    mv "$folder.new" "$folder"
    echo "$include" >"$folder.has"
    warn "made a root of Debian: $name"
}
