# shellcheck shell=bash
# Packages of Debian and Ubuntu: on this machine, and unpacked into the lab. Read by tests/run.

# need_command COMMAND PACKAGE...: installs the packages if the machine lacks the command.
need_command() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null && return
    shift
    install_packages "$@"
}

install_packages() {
    local as_root=()
    if [[ $(id -u) != 0 ]]; then
        as_root=(sudo -n)
        "${as_root[@]}" true 2>/dev/null || die "please install: $* (apt-get install $*)"
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" && return
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@"
}

# Options that make apt use package lists of the lab's own, for want of the machine's.
own_apt=()

# use_own_lists NAME [OPTION...]: downloads the lists into the lab; nothing on the machine changes.
use_own_lists() {
    local lists=$lab/apt/$1
    shift
    # Lists of an earlier release of the same suite would be an error to apt.
    rm -rf "$lists"
    mkdir -p "$lists/partial" "$lab/apt/cache/archives/partial"
    own_apt=(-o "Dir::State::Lists=$lists" -o "Dir::Cache=$lab/apt/cache" -o APT::Sandbox::User= "$@")
    apt-get "${own_apt[@]}" -o Acquire::Languages=none -q update >"$lab/apt/update.log" 2>&1
}

# use_suite SUITE: takes the archive that this machine uses already, and only that suite of it.
use_suite() { try_suite "$1" || die "failed to read the package list of $1: see $lab/apt/update.log"; }

# try_suite SUITE: the same where all goes on without it.
try_suite() {
    local suite=$1 component=main site keyring options=''
    own_apt=()
    if is_ubuntu; then
        component=universe
    fi
    site=$(archive)
    [[ -n $site ]] || { use_own_lists machine && site=$(archive); }
    [[ -n $site ]] || die "this machine has no apt sources"
    for keyring in /usr/share/keyrings/{debian,ubuntu}-archive-keyring.{gpg,pgp}; do
        [[ -e $keyring ]] && options="[signed-by=$keyring]" && break
    done
    mkdir -p "$lab/apt/parts"
    echo "deb $options $site $suite $component" >"$lab/apt/sources.list"
    local sources=(-o "Dir::Etc::SourceList=$lab/apt/sources.list" -o "Dir::Etc::SourceParts=$lab/apt/parts")
    use_own_lists "$suite" "${sources[@]}"
}

# The first archive of the distribution itself that apt has a list of: other vendors' may stand before it.
archive() {
    local label=Debian
    if is_ubuntu; then
        label=Ubuntu
    fi
    # shellcheck disable=SC2016 # $(SITE) is apt's own placeholder
    apt-get "${own_apt[@]}" indextargets --format '$(SITE)' 'Identifier: Packages' "Label: $label" |
        { grep -v security || true; } | sed -n 1p
}

# Whether this is Ubuntu or made from it; all else that has apt-get is taken for Debian.
is_ubuntu() (
    # shellcheck source=/dev/null
    . /etc/os-release && [[ " $ID ${ID_LIKE:-} " == *' ubuntu '* ]]
)

# unpack PACKAGE: unpacks the current release's package into the lab; nothing is installed, no daemon starts.
unpack() {
    [[ -e $debs/$1.done ]] && return
    fetch "$1" || die "failed to download the package $1: see $lab/download.log"
    unpack_fetched "$1"
}

fetch() {
    rm -f "$debs/$1"_*.deb
    download "$1" || { use_own_lists machine && download "$1"; }
}

download() {
    (cd "$debs" && apt-get "${own_apt[@]}" -o APT::Sandbox::User= -q download "$1") >>"$lab/download.log" 2>&1
}

unpack_fetched() {
    dpkg -x "$debs/$1"_*.deb "$root"
    rm "$debs/$1"_*.deb
    touch "$debs/$1.done"
    warn "unpacked $1"
}

# Prints the packages that the packages depend on directly.
dependencies() {
    apt-cache "${own_apt[@]}" depends --important "$@" 2>/dev/null | sed -n 's/^[ |]*\(Pre\)\?Depends: \([a-z].*\)/\2/p'
}

# candidate PACKAGE: prints the version that apt would take, or nothing.
candidate() {
    apt-cache "${own_apt[@]}" policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | { grep -vx '(none)' || true; }
}

# is_at_least VERSION LEAST: whether there is such a version.
is_at_least() { [[ -n $1 ]] && dpkg --compare-versions "$1" ge "$2"; }

is_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}
