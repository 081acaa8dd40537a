# shellcheck shell=bash
# What all packages of one architecture are made of, laid out as cargo does it. Read by deploy/release.

# The triple of an architecture: cargo's name for a program that runs on every distribution.
triple_of() { echo "$1-unknown-linux-musl"; }

# The stage of an architecture: a folder in which that program was built, as far as those who pack it can tell.
stage_of() { echo "$work/stage/$(triple_of "$1")/release"; }

make_stages() {
    local arch stage
    for arch in "${!programs[@]}"; do
        stage=$(stage_of "$arch")
        mkdir -p "$stage"
        install -m 755 "${programs[$arch]}" "$stage/skewguard"
        cp -r "$manual/man" "$manual/completions" "$stage"
        gzip -9n "$stage"/man/*
        gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
    done
}
