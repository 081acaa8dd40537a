# shellcheck shell=bash
# Tools that a release is made with, in the releases that it was written against: another one may lay out a package
# differently. They are built once, into target/tools. Read by deploy/release.

# Programs of crates.io, each NAME@VERSION: what the programs are compiled with, and what packs them.
compilers=(cargo-auditable@0.7.7)
packers=(cargo-deb@3.8.0 cargo-generate-rpm@0.21.1)
packers_job=''

# start_packers: beside the programs, of which the end is one long thread, with what these leave of the processors.
start_packers() {
    # In a group of its own.
    set -m
    (renice -n 19 -p "$BASHPID" >/dev/null && install_crates "${packers[@]}") &
    set +m
    packers_job=$!
}

# await_packers: before the first package is made.
await_packers() {
    local job=$packers_job
    packers_job=''
    wait "$job" || die "there is nothing to pack with"
}

# stop_packers: that a release which fails leaves nothing running.
stop_packers() { [[ -z $packers_job ]] || kill -- "-$packers_job" 2>/dev/null || true; }

# install_crates CRATE...: what they share is compiled once, and it is not speed that counts in them.
install_crates() {
    local crate missing=()
    for crate; do
        is_crate_installed "$crate" || missing+=("$crate")
    done
    ((${#missing[@]})) || return 0
    say "Installing ${missing[*]} into target/tools"
    cargo install --quiet --locked --debug --root "$tools" --target-dir "$tools/build" "${missing[@]}" ||
        die "failed to install ${missing[*]} with cargo"
    rm -rf "$tools/build"
}

# Cargo itself keeps a list of what it has installed.
is_crate_installed() {
    [[ -x $tools/bin/${1%@*} ]] && grep -q "^\"${1%@*} ${1#*@} " "$tools/.crates.toml"
}
