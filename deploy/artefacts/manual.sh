# shellcheck shell=bash
# The manual and the completions, which all packages have in them. Read by deploy/release.

# The pages and completions, packed by all others.
make_manual() {
    say "Writing the manual and the completions"
    manual=$work/manual
    # The date is nothing to them, and would have them built anew for each commit.
    env -u SOURCE_DATE_EPOCH cargo run --quiet --locked --package skewguard --example manual \
        --target-dir "$target" -- "$manual"
}

pack_manual() {
    local name=skewguard-$version-manual
    say "Packing $name.tar.gz"
    pack_folder "$manual" --transform "s,^\.,$name," . | gzip -9n >"$artefacts/$name.tar.gz"
}
