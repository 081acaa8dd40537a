# shellcheck shell=bash
# What is for Windows: the program, a zip with it, the package for Windows Installer, and what offers that. Read by deploy/release and
# deploy/sign.
#
# The program is linked by the gcc of mingw-w64, and needs no library that Windows does not bring. Rust's own library comes
# from the compiler (`rustup target add`) or is built from source, as in programs.sh.

windows_program='' windows_stage=''
windows_triple=x86_64-pc-windows-gnu
mingw=x86_64-w64-mingw32
# Where a host finds the packages of this version, unless --download-url says otherwise.
download_url=''

# -- The program

make_windows_program() {
    local what="everything for Windows" compiler libraries=''
    if [[ -n $given_windows_binary ]]; then
        windows_program=$given_windows_binary
        return
    fi
    [[ -z $given_binary ]] || { lacks "$what" "a program for $(uname -m) was given, and none with --windows-binary"; return; }
    has "$(mingw_gcc)" "$what" "the package gcc-mingw-w64-x86-64-posix" || return 0
    if has_windows_library; then
        compiler=$(command -v rustc)
    elif find_source; then
        compiler=$source_compiler libraries=std,panic_abort
    else
        lacks "$what" "the compiler has no library for it: rustup target add $windows_triple"
        return
    fi
    say "Building the program for Windows"
    build_windows_program "$compiler" "$libraries"
    check_imports "$windows_program"
}

has_windows_library() { compgen -G "$(rustc --print target-libdir --target $windows_triple)/libstd-*.rlib" >/dev/null; }

# The name that rustc calls, or the one that Debian gives it where it is not the default.
mingw_gcc() {
    local name
    for name in $mingw-gcc $mingw-gcc-posix; do
        ! command -v $name >/dev/null || break
    done
    echo "$name"
}

# build_windows_program COMPILER LIBRARIES
build_windows_program() {
    local compiler=$1 libraries=$2 options=() built=$target/programs date=$SOURCE_DATE_EPOCH linkers=$work/mingw
    [[ $is_trial == no ]] || date=$(git log -1 --format=%ct -- agent Cargo.toml Cargo.lock)
    mkdir "$linkers"
    make_version_resource "$version" "$linkers/version.o"
    make_linker "$linkers"
    (
        if [[ -n $libraries ]]; then
            export RUSTC_BOOTSTRAP=1
            options+=("-Zbuild-std=$libraries")
        fi
        export RUSTC=$compiler PATH=$linkers:$tools/bin:$PATH
        forget_paths "$compiler" -Clink-self-contained=no -Ctarget-feature=+crt-static
        # As in build_programs.
        export RUSTC_WORKSPACE_WRAPPER=cargo-auditable
        export CARGO_AUDITABLE_ORIG_ARGS='{"offline":false,"locked":true,"frozen":false,"config":[]}'
        SOURCE_DATE_EPOCH=$date cargo build --quiet --locked --release --package skewguard \
            --target-dir "$built" --target $windows_triple "${options[@]}" >&2
    ) || die "failed to build the program for Windows"
    windows_program=$built/$windows_triple/release/skewguard.exe
}

# make_linker FOLDER: puts the gcc there under the name that rustc calls. What it links gets the version, and no date: as an
# option of rustc, the path would be a part of the names of all symbols.
make_linker() {
    local gcc
    gcc=$(command -v "$(mingw_gcc)")
    cat >"$1/$mingw-gcc" <<END
#!/bin/sh
for argument; do
    case \$argument in -c | -E | -S | -M | -MM | -v | --version | -dump* | -print*) exec $gcc "\$@" ;; esac
done
exec $gcc "\$@" '$1/version.o' -Wl,--no-insert-timestamp
END
    chmod 755 "$1/$mingw-gcc"
}

# make_version_resource VERSION FILE: what Windows shows of a program, and by which Windows Installer knows the newer one.
make_version_resource() {
    local numbers
    numbers=$(windows_version "$1") || numbers=0.0.0
    $mingw-windres --output "$2" <<END
1 VERSIONINFO
FILEVERSION ${numbers//./,},0
PRODUCTVERSION ${numbers//./,},0
FILEOS 0x40004
FILETYPE 1
{
    BLOCK "StringFileInfo" {
        BLOCK "040904B0" {
            VALUE "CompanyName", "The skewguard authors"
            VALUE "FileDescription", "skewguard"
            VALUE "FileVersion", "$1"
            VALUE "InternalName", "skewguard"
            VALUE "LegalCopyright", "MIT OR Apache-2.0"
            VALUE "OriginalFilename", "skewguard.exe"
            VALUE "ProductName", "skewguard"
            VALUE "ProductVersion", "$1"
        }
    }
    BLOCK "VarFileInfo" { VALUE "Translation", 0x409, 1200 }
}
END
}

# windows_version VERSION: three numbers are all that Windows Installer compares; a suffix has no place among them.
windows_version() {
    [[ $1 =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,5})$ ]] || return
    ((10#${BASH_REMATCH[1]} < 256 && 10#${BASH_REMATCH[2]} < 256 && 10#${BASH_REMATCH[3]} < 65536)) && echo "$1"
}

# check_imports PROGRAM: that it needs no library of mingw's.
check_imports() {
    local foreign
    foreign=$($mingw-objdump --private-headers "$1" | sed -n 's/^[[:space:]]*DLL Name: //p' | grep -iE '^lib|mingw|pthread' | paste -sd' ') || true
    [[ -z $foreign ]] || die "the program for Windows needs libraries that no Windows has: $foreign"
}

# -- The zip

windows_name() { echo "skewguard-$version-x86_64-windows"; }
msi_name() { echo "skewguard-$version-x86_64.msi"; }

make_windows_stage() {
    [[ -n $windows_program ]] || return 0
    windows_stage=$work/windows/$(windows_name)
    mkdir -p "$windows_stage/examples"
    install -m 755 "$windows_program" "$windows_stage/skewguard.exe"
    cp deploy/windows/{install,uninstall,verify}.ps1 deploy/windows/README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$third_party" \
        config/skewguard.{yaml,schema.json} "$windows_stage"
    cp config/examples/*.yaml "$windows_stage/examples"
    printf '%s\n' "$version" >"$windows_stage/VERSION"
}

pack_windows() {
    [[ -n $windows_program ]] || return 0
    has python3 "the zip and the package for Windows" "the package python3" || return 0
    pack_windows_zip "$artefacts/$(windows_name).zip"
    can_make_msi || return 0
    say "Packing $(msi_name)"
    make_msi "$windows_stage" "$version" "$artefacts/$(msi_name)"
    render_windows_manifests "$artefacts/$(msi_name)" "$artefacts"
}

# pack_windows_zip FILE
pack_windows_zip() {
    say "Packing ${1##*/}"
    write_zip "${windows_stage%/*}" "$1"
}

# -- The package for Windows Installer

can_make_msi() {
    local what="the package for Windows Installer"
    has wixl "$what" "the package wixl" && has msibuild "$what" "the package msitools" || return
    windows_version "$version" >/dev/null || { lacks "$what" "it takes three numbers for a version, and this is $version"; return 1; }
}

# make_msi STAGE VERSION FILE
make_msi() {
    local stage=$1 build=$work/msi sources=$here/deploy/windows example statement date
    # Even, as the dates of a zip are: of that, it is made once more to be signed.
    date=$((SOURCE_DATE_EPOCH / 2 * 2))
    rm -rf "$build"
    mkdir "$build"
    cp "$sources/skewguard.wxs" "$build"
    {
        echo '<Include>'
        for example in "$stage"/examples/*; do
            printf '<File Id="example_%s" Source="%s" />\n' "${example##*/}" "$example"
        done
        echo '</Include>'
    } | sed 's/\(Id="example_[^"]*\)-/\1_/g' >"$build/examples.wxi"
    # The dates of the files are in it.
    find "$stage" -exec touch --no-dereference --date "@$date" {} +
    (cd "$build" && TZ=UTC wixl --arch x64 --define "Version=$2" --define "Stage=$stage" \
        --define "ProductCode=$(product_code "$2")" --output package.msi skewguard.wxs >wixl.log 2>&1) ||
        die "wixl fails: $(tail -n 3 "$build/wixl.log")"
    # It goes on over what it does not understand.
    [[ ! -s $build/wixl.log ]] || die "wixl says: $(head -n 3 "$build/wixl.log")"
    while IFS= read -r statement; do
        case $statement in '' | --*) continue ;; esac
        msibuild "$build/package.msi" -q "$statement" >"$build/msibuild.log" 2>&1 && [[ ! -s $build/msibuild.log ]] ||
            die "msibuild refuses $statement: $(head -n 3 "$build/msibuild.log")"
    done < <(sed "s|@VERSION@|$2|g" "$sources/skewguard.sql")
    python3 "$here/deploy/artefacts/msi.py" settle "$build/package.msi" "$date" ||
        die "the package for Windows Installer is not laid out as wixl does it"
    install -m 644 "$build/package.msi" "$3"
}

product_code() { python3 "$here/deploy/artefacts/msi.py" product "$1"; }

# -- For those who offer it

# render_windows_manifests MSI FOLDER: the manifests of winget and the source of a package of Chocolatey, for this very file.
render_windows_manifests() {
    local file url=${download_url:-https://github.com/skewguard/skewguard/releases/download/v$version}/${1##*/} sum
    sum=$(sha256sum "$1" | cut -d' ' -f1)
    while IFS= read -r file; do
        mkdir -p "$2/$(dirname "$file")"
        sed -e "s|@VERSION@|$version|g" -e "s|@URL@|${url//&/\\&}|g" -e "s|@SUM@|${sum^^}|g" \
            -e "s|@PRODUCT_CODE@|{$(product_code "$version")}|g" -e "s|@DATE@|$(date --utc --date "@$SOURCE_DATE_EPOCH" +%F)|g" \
            "$here/deploy/windows/$file" >"$2/$file"
    done < <(cd "$here/deploy/windows" && find winget chocolatey -type f | LC_ALL=C sort)
}
