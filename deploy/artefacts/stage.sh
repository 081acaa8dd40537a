# shellcheck shell=bash
# What all packages of one architecture are made of, laid out as cargo does it. Read by deploy/release.

# The triple of an architecture: cargo's name for a program that runs on every distribution.
triple_of() { case $1 in windows) echo "$windows_triple" ;; *) echo "$1-unknown-linux-musl" ;; esac; }

# The triples of all that a release is made for, built or not.
triples() {
    local arch
    for arch in "${architectures[@]}" windows; do
        triple_of "$arch"
    done
}

# The stage of an architecture: a folder in which that program was built, as far as those who pack it can tell.
stage_of() { echo "$work/stage/$(triple_of "$1")/release"; }

make_stages() {
    local arch stage
    for arch in "${!programs[@]}"; do
        stage=$(stage_of "$arch")
        mkdir -p "$stage"/{systemd/examples,udev,config/examples,licences,rpm}
        install -m 755 "${programs[$arch]}" "$stage/skewguard"
        cp -r "$manual/man" "$manual/completions" "$stage"
        gzip -9n "$stage"/man/*
        gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
        cp deploy/systemd/*.service "$stage/systemd"
        cp deploy/systemd/examples/*.conf "$stage/systemd/examples"
        cp deploy/udev/*.rules "$stage/udev"
        cp config/skewguard.{yaml,schema.json} "$stage/config"
        cp config/examples/*.yaml "$stage/config/examples"
        cp LICENSE-APACHE LICENSE-MIT "$third_party" "$stage/licences"
        cp deploy/packages/rpm/80-skewguard.preset "$stage/rpm"
        # Some packers take the date of a file that is older than the commit as it is.
        find "$stage" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
    done
}
