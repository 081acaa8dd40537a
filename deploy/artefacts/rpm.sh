# shellcheck shell=bash
# The rpm packages. Read by deploy/release.

pack_rpms() {
    local arch
    for arch in "${!programs[@]}"; do
        say "Packing the rpm for $arch"
        # rpm 4.11, as of Amazon Linux 2 and RHEL 7, reads gzip and not zstd.
        "$tools/bin/cargo-generate-rpm" --package agent --target-dir "$work/stage" --target "$(triple_of "$arch")" \
            --auto-req "$(how_to_find_libraries "${programs[$arch]}")" --payload-compress gzip --output "$artefacts/"
    done
}

# A static program needs no library, and ldd knows only those of this machine's architecture.
how_to_find_libraries() {
    if ldd "$1" >/dev/null 2>&1; then echo builtin; else echo disabled; fi
}
