# shellcheck shell=bash
# The programs: static, one for each architecture, which runs on every distribution; or one that is given. Read by
# deploy/release.
#
# The C library is musl, which zig brings along with a linker and a compiler for the C in `ring`. Rust's own library comes
# from the compiler (`rustup target add`), or is built from the source that belongs to it: rustup's component rust-src, or
# Debian's rust-web-src.

# The path of the program of each architecture, as uname names it.
declare -A programs=()
architectures=(x86_64 aarch64)

make_programs() {
    if [[ -n $given_binary ]]; then
        take_given
        return
    fi
    local arch ready=() source_built=()
    for arch in "${architectures[@]}"; do
        if has_library "$arch"; then
            ready+=("$arch")
        elif find_source; then
            source_built+=("$arch")
        else
            lacks "the program for $arch" "the compiler has no library for it: rustup target add $(triple_of "$arch")"
        fi
    done
    ((${#ready[@]} + ${#source_built[@]})) || die "the compiler has a library for no program: rustup target add $(triple_of "$(uname -m)")"
    install_zig
    say "Building the programs: ${ready[*]} ${source_built[*]}"
    ((!${#ready[@]})) || build_programs "$(command -v rustc)" '' "${ready[@]}"
    ((!${#source_built[@]})) || build_programs "$source_compiler" std,panic_abort "${source_built[@]}"
}

take_given() {
    local arch own
    own=$(uname -m)
    programs[$own]=$given_binary
    for arch in "${architectures[@]}"; do
        [[ $arch == "$own" ]] || lacks "everything for $arch" "a program for $own was given"
    done
}

# -- Compilers

# has_library ARCH: whether the compiler has Rust's library for it.
has_library() { compgen -G "$(rustc --print target-libdir --target "$(triple_of "$1")")/libstd-*.rlib" >/dev/null; }

# find_source: sets `source_compiler` to a compiler that has the source of its own library, and `source_folder` to that.
find_source() {
    local compiler folder
    [[ -z ${source_compiler:-} ]] || return 0
    for compiler in "$(command -v rustc)" /usr/bin/rustc; do
        [[ -x $compiler ]] || continue
        folder=$("$compiler" --print sysroot)/lib/rustlib/src/rust
        [[ -e $folder/library/std/Cargo.toml ]] && is_source_of "$compiler" "$folder" || continue
        source_compiler=$compiler source_folder=$folder
        return 0
    done
    return 1
}

# is_source_of COMPILER FOLDER: whether the source is of the same release. rustup's is by its manifest, and Debian's says so.
is_source_of() {
    [[ -e $2/../../manifest-rust-src || $(cat "$2/src/version" 2>/dev/null) == "$(release_of "$1")" ]]
}

release_of() { "$1" -vV | sed -n 's/^release: //p'; }

# -- zig

# install_zig: into a folder of its own, for whatever Python there is.
install_zig() {
    local wanted=$here/deploy/artefacts/requirements.txt folder=$tools/zig venv=$work/venv
    cmp -s "$wanted" "$folder/requirements.txt" && return
    need python3:python3-venv
    say "Installing zig into target/tools"
    python3 -m venv "$venv" >&2 || die "failed to make a virtual environment of Python: install the package python3-venv"
    rm -rf "$folder"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --target "$folder" --requirement "$wanted" >&2 ||
        die "failed to install what deploy/artefacts/requirements.txt names"
    cp "$wanted" "$folder/requirements.txt"
    rm -rf "$venv"
}

# -- Building

# build_programs COMPILER LIBRARIES ARCH...: with these libraries of Rust's built from source, if any is named. Side by side,
# because the last step of each is one long thread.
build_programs() {
    local compiler=$1 libraries=$2 arch options=() built=$target/programs date=$SOURCE_DATE_EPOCH
    shift 2
    # The date of the source is in the program. A trial is not to be compiled anew for a commit to something else.
    [[ $is_trial == no ]] || date=$(git log -1 --format=%ct -- agent Cargo.toml Cargo.lock)
    for arch; do
        options+=(--target "$(triple_of "$arch")")
    done
    (
        # A stable compiler builds its library only where it is told to take itself for an unstable one.
        if [[ -n $libraries ]]; then
            export RUSTC_BOOTSTRAP=1
            options+=("-Zbuild-std=$libraries")
        fi
        export RUSTC=$compiler PATH=$tools/zig/bin:$tools/bin:$PATH
        export CARGO_ZIGBUILD_ZIG_PATH=$tools/zig/ziglang/zig CARGO_ZIGBUILD_CACHE_DIR=$built/zig/wrappers
        export ZIG_GLOBAL_CACHE_DIR=$built/zig ZIG_LOCAL_CACHE_DIR=$built/zig
        forget_paths "$compiler" -Clink-self-contained=no -Ctarget-feature=+crt-static -Clink-arg=-pie
        # `cargo auditable` would do this with its own path, which cargo makes a part of the names of all symbols.
        export RUSTC_WORKSPACE_WRAPPER=cargo-auditable
        export CARGO_AUDITABLE_ORIG_ARGS='{"offline":false,"locked":true,"frozen":false,"config":[]}'
        SOURCE_DATE_EPOCH=$date cargo zigbuild --quiet --locked --release --package skewguard \
            --target-dir "$built" "${options[@]}" >&2
    ) || die "failed to build the programs"
    for arch; do
        programs[$arch]=$built/$(triple_of "$arch")/release/skewguard
    done
}

# forget_paths COMPILER FLAG...: lets what is compiled with these flags say nothing of where that was, so that it is the same
# everywhere.
forget_paths() {
    local compiler=$1 flags pair pairs c_flags='' triple folder
    shift
    flags=("$@")
    pairs=("$("$compiler" --print sysroot)=/rustc" "$HOME=/home" "$here=/skewguard" "$target=/skewguard/target")
    [[ -z ${source_folder:-} ]] || pairs+=("$source_folder=/rustc/source" "$(realpath "$source_folder")=/rustc/source")
    # A folder for each registry, with a name that is another one where a mirror stands in for crates.io.
    cargo fetch --quiet --locked --target "$(triple_of "${architectures[0]}")" >&2
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
        pairs+=("$folder=/cargo")
    done
    # The last that fits counts.
    for pair in "${pairs[@]}"; do
        flags+=("--remap-path-prefix=$pair")
        c_flags+=" -ffile-prefix-map=$pair"
    done
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
    for triple in $(triples); do
        export "CFLAGS_${triple//-/_}=$c_flags"
    done
}
