# shellcheck shell=bash
# The programs: static, for each architecture, or one that is given. Read by deploy/release.

# The path of the program of each architecture, as uname names it.
declare -A programs=()

make_programs() {
    local own
    own=$(uname -m)
    if [[ -n $given_binary ]]; then
        programs[$own]=$given_binary
        return
    fi
    say "Building the program"
    cargo build --locked --release --package skewguard --target-dir "$target" >&2
    programs[$own]=$target/release/skewguard
}
