# shellcheck shell=bash
# What is tried on Windows, as far as Wine is one: the program of the release, and the unit tests. Read by tests/run.

# for_windows COMMAND...: cargo for Windows, in the workshop, with the compiler and the linker that deploy/release takes. What
# `build` compiles it lints as well: `cargo clippy` would compile all that it depends on for itself once more.
for_windows() {
    # shellcheck disable=SC2016 # the inner shell's
    tests/workshop bash -c '
        set -Eeuo pipefail
        target=$1 tools=$1/tools linkers=$(mktemp -d) linter=clippy-driver
        shift
        trap "rm -rf \"\$linkers\"" EXIT
        . deploy/artefacts/commands.sh
        . deploy/artefacts/programs.sh
        . deploy/artefacts/windows.sh
        ln -s "$(command -v "$(mingw_gcc)")" "$linkers/$mingw-gcc"
        export PATH=$linkers:$PATH CARGO_TARGET_DIR=$target/windows CARGO_PROFILE_DEV_DEBUG=0 CARGO_NET_OFFLINE=true
        if ! has_windows_library; then
            find_source
            export RUSTC=$source_compiler RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort,panic_unwind,test
            linter=${source_compiler%/*}/clippy-driver
        fi
        if [[ $1 == build ]]; then
            export RUSTC_WORKSPACE_WRAPPER=$linter CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__
        fi
        cargo "$@" --locked --package skewguard --target $windows_triple
    ' bash "$target" "$@"
}

# make_for_windows: the lints, the unit tests, and the program that was released.
make_for_windows() {
    local built
    # What Windows alone needs; nothing is fetched in the workshop.
    cargo fetch --locked --target x86_64-pc-windows-gnu
    say "Lints and unit tests for Windows"
    for_windows build --quiet --lib --bins
    built=$(for_windows test --lib --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*\.exe\)".*/\1/p' | tail -n 1)
    [[ -n $built ]] || die "the unit tests for Windows were not built"
    rm -rf "$lab/windows"
    mkdir -p "$lab/windows"
    cp "$built" "$lab/windows/unit-tests.exe"
    python3 - "$lab/dist" "$lab/windows" <<'END'
import pathlib, sys, zipfile
dist, folder = map(pathlib.Path, sys.argv[1:])
(packed,) = dist.glob("*-windows.zip")
with zipfile.ZipFile(packed) as opened:
    (name,) = (name for name in opened.namelist() if name.endswith("/skewguard.exe"))
    (folder / "skewguard.exe").write_bytes(opened.read(name))
END
}
