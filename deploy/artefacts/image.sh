# shellcheck shell=bash
# The image: one static program, for every architecture, and nothing else that runs. Read by deploy/release.
#
# It is written here as the OCI specification has it (image-spec 1.1: a layout of blobs that are named by their digests).
# That takes no daemon and no privilege, and the bytes follow from what is in it alone; tests pull and run it.

image_architectures=(x86_64 aarch64)
image_user=65532
# What a package of Debian or Ubuntu has brought, and not what an administrator has added to this machine.
image_authorities=/usr/share/ca-certificates/mozilla

pack_image() {
    local arch manifests=() layout=$work/image
    compgen -G "$image_authorities/*.crt" >/dev/null ||
        { lacks "the image" "$image_authorities is empty: install the package ca-certificates"; return; }
    for arch in "${image_architectures[@]}"; do
        [[ -v programs[$arch] ]] || { lacks "the image for $arch" "there is no program for it"; continue; }
        is_static "${programs[$arch]}" ||
            { lacks "the image for $arch" "${programs[$arch]} is not static, and there are no libraries in it"; continue; }
        say "Packing the image for $arch"
        manifests+=("$(image_manifest "$layout" "$arch")")
    done
    ((${#manifests[@]})) || return 0
    write_layout "$layout" "$(IFS=,; echo "${manifests[*]}")"
    pack_folder "$layout" blobs index.json oci-layout >"$artefacts/skewguard-$version-image.tar"
}

# is_static PROGRAM: whether it names no loader, for which programs have a header of type 3.
is_static() {
    python3 - "$1" <<'END'
import struct, sys
head = open(sys.argv[1], "rb").read(8192)
assert head[:5] == b"\x7fELF\x02", "not a program of 64 bits"
start, = struct.unpack_from("<Q", head, 32)
size, count = struct.unpack_from("<HH", head, 54)
sys.exit(any(struct.unpack_from("<I", head, start + number * size)[0] == 3 for number in range(count)))
END
}

# image_manifest LAYOUT ARCH: adds what there is of one architecture, and prints its descriptor.
image_manifest() {
    local layout=$1 arch=$2 name layer plain config
    name=$(image_architecture "$arch")
    layer=$work/image-$arch.tar
    image_layer "$arch" "$layer"
    plain=$(sha256sum "$layer" | cut -d' ' -f1)
    gzip -9nf "$layer"
    layer=$(descriptor "$layout" "$layer.gz" layer.v1.tar+gzip)
    printf '{"created":"%s","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"deploy/release"}]}' \
        "$(image_date)" "$name" "$(image_config)" "$plain" "$(image_date)" >"$work/image-$arch.config"
    config=$(descriptor "$layout" "$work/image-$arch.config" config.v1+json)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s],"annotations":%s}' \
        "$config" "$layer" "$(image_labels)" >"$work/image-$arch.manifest"
    descriptor "$layout" "$work/image-$arch.manifest" manifest.v1+json ",\"platform\":{\"architecture\":\"$name\",\"os\":\"linux\"}"
}

# As OCI names them, which is Go's way.
image_architecture() {
    case $1 in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) die "the image has no name for the architecture $1" ;;
    esac
}

# image_layer ARCH FILE: the program, the authorities that TLS trusts, and the folders that are mounted over.
image_layer() {
    local root=$work/image-$1.root own=(run/skewguard var/lib/skewguard)
    mkdir -p "$root/etc/ssl/certs" "${own[@]/#/$root/}"
    install -m 755 "${programs[$1]}" "$root/skewguard"
    # In an order that no language changes; each ends with a newline.
    (export LC_ALL=C && cat "$image_authorities"/*.crt) >"$root/etc/ssl/certs/ca-certificates.crt"
    pack --format=ustar --create --file "$2" --directory "$root" --owner=0 --group=0 \
        --exclude=run/skewguard --exclude=var/lib/skewguard etc run skewguard var
    # They are the agent's own where nothing is mounted.
    pack --format=ustar --append --file "$2" --directory "$root" --owner="$image_user" --group="$image_user" "${own[@]}"
}

# descriptor LAYOUT FILE TYPE [MORE]: moves a file to where its digest is its name, and says so.
descriptor() {
    local digest
    digest=$(sha256sum "$2" | cut -d' ' -f1)
    mkdir -p "$1/blobs/sha256"
    printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s%s}' \
        "$3" "$digest" "$(stat --format=%s "$2")" "${4:-}"
    mv "$2" "$1/blobs/sha256/$digest"
}

# What it writes to are volumes, so that a root that cannot be written to is no hindrance where nothing is mounted: Fargate
# makes a volume the user's own only where the image declares it.
image_config() {
    printf '{"User":"%s:%s","Env":["PATH=/"],"Entrypoint":["/skewguard"],"Cmd":["run"],"WorkingDir":"/","Volumes":{"/run/skewguard":{},"/var/lib/skewguard":{}},"Labels":%s}' \
        "$image_user" "$image_user" "$(image_labels)"
}

image_labels() {
    local label labels=()
    for label in title=skewguard "version=$version" "revision=$(git rev-parse HEAD)" "created=$(image_date)" \
        "licenses=MIT OR Apache-2.0" source=https://github.com/skewguard/skewguard \
        documentation=https://github.com/skewguard/skewguard/tree/main/deploy/kubernetes \
        "description=Warns before AWS rejects requests because a clock is wrong or a credential has run out"; do
        labels+=("\"org.opencontainers.image.${label%%=*}\":\"${label#*=}\"")
    done
    (IFS=,; echo "{${labels[*]}}")
}

image_date() { date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ; }

# write_layout LAYOUT MANIFESTS: one index of all architectures, which is what a tag and a signature mean.
write_layout() {
    local index
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s],"annotations":%s}' \
        "$2" "$(image_labels)" >"$work/image.index"
    index=$(descriptor "$1" "$work/image.index" index.v1+json \
        ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"$version\"}")
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' "$index" >"$1/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
}
