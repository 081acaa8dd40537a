# shellcheck shell=bash
# Whether what is called is there, and the one way to pack files. Read by all who make something of a release.

# has COMMAND ARTEFACT SOURCE: whether a command is there; without it the artefact is not built, and that is told.
has() {
    command -v "$1" >/dev/null || { lacks "$2" "$1 is missing: install $3"; return 1; }
}

# need COMMAND[:PACKAGE]...: ends where one is missing. A package often has the name of its command.
need() {
    local pair
    for pair; do
        command -v "${pair%:*}" >/dev/null || die "${pair%:*} is missing: install the package ${pair#*:}"
    done
}

# pack ARGUMENT...: an archive whose bytes follow from what is in it, whoever packs it and when.
pack() { tar --sort=name --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" "$@"; }

# pack_folder FOLDER ARGUMENT...: what is named of it, as root's, to the standard output.
pack_folder() { pack --create --owner=0 --group=0 --directory "$@"; }
