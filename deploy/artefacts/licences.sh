# shellcheck shell=bash
# The licences of what is linked into the programs, which all packages have in them. Read by deploy/release.

# make_licences: THIRD-PARTY-LICENSES names every crate with the licence that it declares, and has each text once.
make_licences() {
    local crate licence home folder file text sum files
    local -A texts=() users=()
    say "Collecting the licences"
    third_party=$work/THIRD-PARTY-LICENSES
    # The two that are no crates.
    cat >"$third_party" <<'END'
The program skewguard contains the standard library of Rust (https://github.com/rust-lang/rust, MIT OR Apache-2.0), where
it is static musl (https://musl.libc.org, MIT), on Windows the runtime of mingw-w64 (https://www.mingw-w64.org, ZPL-2.1 and public
domain) and of GCC (https://gcc.gnu.org, GPL-3.0-or-later WITH GCC-exception-3.1), and these crates of https://crates.io, under
these licences:

END
    linked_crates >"$work/crates"
    while IFS='|' read -r crate licence home; do
        [[ -n $licence ]] || die "$crate does not say under which licence it is"
        folder=$(folder_of "$crate")
        files=$(find "$folder" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \
            -o -iname 'unlicense*' -o -iname 'copyright*' \) | LC_ALL=C sort)
        [[ -n $files ]] && home='' || home=" (its text is in $home)"
        printf '  %s: %s%s\n' "$crate" "$licence" "$home" >>"$third_party"
        while read -r file; do
            [[ -n $file ]] || continue
            text=$(tr -d '\r' <"$file")
            # Many differ in nothing but their line breaks.
            sum=$(tr -s '[:space:]' ' ' <<<"$text" | sha256sum)
            texts[$sum]=${texts[$sum]:-$text}
            users[$sum]+="${users[$sum]:+, }$crate"
        done <<<"$files"
    done <"$work/crates"
    # In the order of their first crate, which is the same everywhere.
    for sum in "${!texts[@]}"; do
        printf '%s|%s\n' "${users[$sum]}" "$sum"
    done | LC_ALL=C sort >"$work/texts"
    while IFS='|' read -r crate sum; do
        printf '\n%s\n\n%s\n\n%s\n' "$(printf '=%.0s' {1..100})" "$(fold -s -w 100 <<<"$crate")" "${texts[$sum]}"
    done <"$work/texts" >>"$third_party"
}

# Name and version, licence and repository of each crate whose code is in the program on some architecture, a line each.
linked_crates() {
    local triple
    for triple in $(triples); do
        cargo tree --locked --package skewguard --edges normal --target "$triple" --prefix none \
            --no-dedupe --format '{p}|{l}|{r}'
    done | sed -n 's/^\([^ ]*\) v\([^ |]*\)[^|]*|\(.*\)/\1 \2|\3/p' | grep -v '^skewguard ' | LC_ALL=C sort -u
}

# Where cargo has unpacked a crate, given as NAME VERSION.
folder_of() {
    local folder
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"${1/ /-}"; do
        [[ -d $folder ]] && echo "$folder" && return
    done
    die "the source of $1 is not where cargo unpacks it"
}
