# shellcheck shell=bash
# Tools that a release is made with, in the releases that it was written against: another one may lay out a package
# differently. They are built once, into target/tools. Read by deploy/release.

# Programs of crates.io, each NAME@VERSION.
crates=(cargo-deb@3.8.0 cargo-generate-rpm@0.21.1 cargo-auditable@0.7.7)

# install_crates: what they share is compiled once, and it is not speed that counts in them.
install_crates() {
    local crate missing=()
    for crate in "${crates[@]}"; do
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
