# shellcheck shell=bash
# What each artefact is made of: NAME.cdx.json beside it (CycloneDX). Read by deploy/release.
#
# It is read out of the program, and not out of a lock file, which names the crates of all platforms and tests too.

# make_sboms: for every artefact in which there is a program.
make_sboms() {
    local file archs
    has python3 "what each artefact is made of (CycloneDX)" "the package python3" || return 0
    has_crate_list || { lacks "what each artefact is made of (CycloneDX)" "the program was not built with cargo auditable"; return 0; }
    say "Writing what each artefact is made of"
    for file in "$artefacts"/*; do
        archs=$(architectures_of "${file##*/}")
        # What lies in a folder is packed again of these.
        if [[ -f $file && -n $archs ]]; then
            make_sbom "$file" "$archs"
        fi
    done
}

has_crate_list() {
    local program
    for program in "${programs[@]}" ${windows_program:+"$windows_program"}; do
        grep -q '\.dep-v0' "$program" || return 1
    done
}

# program_of ARCH: its path, if it was built.
program_of() { case $1 in windows) echo "$windows_program" ;; *) echo "${programs[$1]:-}" ;; esac; }

# architectures_of NAME: of the programs in an artefact, by its name.
architectures_of() {
    case $1 in
        *.cdx.json | *-manual.* | *.tgz) ;;
        *-windows.zip | *.msi) echo windows ;;
        *amd64* | *x86_64*) echo x86_64 ;;
        *arm64* | *aarch64*) echo aarch64 ;;
        *-image.*) echo "${!programs[@]}" ;;
    esac
}

# make_sbom ARTEFACT ARCHITECTURES
make_sbom() {
    local arch options=()
    for arch in $(tr ' ' '\n' <<<"$2" | LC_ALL=C sort); do
        [[ -n $(program_of "$arch") ]] || die "${1##*/} has a program for $arch, and none was built"
        [[ -e $work/crates-$arch.json ]] ||
            cargo metadata --quiet --locked --format-version 1 --manifest-path agent/Cargo.toml \
                --filter-platform "$(triple_of "$arch")" >"$work/crates-$arch.json"
        options+=(--program "$arch=$(program_of "$arch")" --metadata "$work/crates-$arch.json")
    done
    python3 "$here/deploy/artefacts/sbom.py" --artefact "$1" --version "$version" --date "$SOURCE_DATE_EPOCH" \
        --lock Cargo.lock "${options[@]}" >"$1.cdx.json" || die "failed to write what ${1##*/} is made of"
}
