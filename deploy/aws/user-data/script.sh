#!/bin/sh
# Any distribution, from a repository of your own or from a release. README.md says how the values come in here. Its exit
# code is that of the gate: `cloud-init status` fails where it does.
SKEWGUARD_ACTION=install
SKEWGUARD_REPOSITORY='@REPOSITORY@' SKEWGUARD_KEY='@KEY@'
SKEWGUARD_RELEASE='@RELEASE@' SKEWGUARD_SUM='@SUM@'
SKEWGUARD_CONFIGURATION='@CONFIGURATION@' SKEWGUARD_PARAMETER='@PARAMETER@'
# -- host.sh
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/local/bin

config=/etc/skewguard/skewguard.yaml
environment=/etc/skewguard/environment
apt_source=/etc/apt/sources.list.d/skewguard.sources
apt_key=/usr/share/keyrings/skewguard-archive-keyring.asc
yum_source=/etc/yum.repos.d/skewguard.repo
yum_key=/etc/pki/rpm-gpg/RPM-GPG-KEY-skewguard
yum_next_key=$yum_key-next
unread=/run/skewguard.unread

main() {
    case $1 in
        place) install_it ;;
        install) install_it; check ;;
        upgrade) if installed; then install_it; check; else say 'not installed, so that nothing was upgraded'; fi ;;
        bake) install_it; leave_no_state ;;
        check) check ;;
        doctor) skewguard doctor ;;
        remove) remove ;;
        purge) purge ;;
        *) say "unknown: $1" && exit 64 ;;
    esac
}

say() { echo "skewguard: $*" >&2; }
die() { say "$*" && exit 1; }
has() { command -v "$1" >/dev/null; }
installed() { has skewguard; }
booted() { [ -d /run/systemd/system ]; }

install_it() {
    was_installed=no
    ! installed || was_installed=yes
    configure
    if [ -n "${SKEWGUARD_RELEASE:-}" ]; then from_release; else from_repository; fi
    if [ "$was_installed" = yes ] && [ -e "$unread" ] && booted; then systemctl try-restart skewguard; fi
    rm -f "$unread"
}

check() {
    code=0
    skewguard check || code=$?
    if booted && ! systemctl --quiet is-active skewguard; then
        say 'the service does not run: journalctl --unit skewguard'
        [ "$code" != 0 ] || code=3
    fi
    return "$code"
}

leave_no_state() {
    ! booted || systemctl stop skewguard
    rm -rf /var/lib/private/skewguard /var/lib/skewguard
}


configure() {
    if [ -n "${SKEWGUARD_CONFIGURATION:-}" ]; then
        printf %s "$SKEWGUARD_CONFIGURATION" | base64 -d | put "$config" 644 "$unread"
    fi
    if [ -n "${SKEWGUARD_PARAMETER:-}" ]; then
        has aws || die "the secrets of $SKEWGUARD_PARAMETER are read with the AWS CLI, which is missing"
        choose_region
        aws ssm get-parameter --with-decryption --name "$SKEWGUARD_PARAMETER" --query Parameter.Value --output text |
            put "$environment" 600 "$unread"
    fi
}

put() {
    mkdir -p "${1%/*}"
    (umask 077 && cat >"$1.new")
    if [ ! -s "$1.new" ]; then rm "$1.new" && die "there is nothing to write to $1"; fi
    chmod "$2" "$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new" && return; fi
    [ -z "${3:-}" ] || touch "$3"
    mv "$1.new" "$1"
}


from_repository() {
    wanted=skewguard
    [ -z "${SKEWGUARD_REPOSITORY:-}" ] || wanted='skewguard skewguard-archive-keyring'
    if has apt-get; then
        if [ -n "${SKEWGUARD_REPOSITORY:-}" ]; then
            dpkg-query --search "$apt_key" >/dev/null 2>&1 || key | put "$apt_key" 644
            printf 'Types: deb\nURIs: %s/apt\nSuites: stable\nComponents: main\nSigned-By: %s\n' \
                "$SKEWGUARD_REPOSITORY" "$apt_key" | put "$apt_source" 644
        fi
        apt_get update
        apt_get install $wanted
    elif has dnf || has yum; then
        if [ -n "${SKEWGUARD_REPOSITORY:-}" ]; then
            for file in "$yum_key" "$yum_next_key"; do
                rpm --query --file "$file" >/dev/null 2>&1 || key | put "$file" 644
            done
            printf '[skewguard]\nname=skewguard\nbaseurl=%s/rpm\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%s\n       file://%s\n' \
                "$SKEWGUARD_REPOSITORY" "$yum_key" "$yum_next_key" | put "$yum_source" 644
        fi
        as_dnf clean expire-cache
        as_dnf install $wanted
        as_dnf upgrade $wanted
    else
        die 'this host has neither apt-get nor dnf: name a release instead of a repository'
    fi
}

key() { printf %s "${SKEWGUARD_KEY:-}" | base64 -d; }
as_dnf() {
    if has dnf; then dnf --assumeyes "$@"; else yum --assumeyes "$@"; fi
}
apt_get() { apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }


from_release() {
    architecture=$(uname -m)
    if has apt-get; then
        wanted="skewguard_*_$(dpkg --print-architecture).deb"
    elif has dnf || has yum; then
        wanted="skewguard-[0-9]*.$architecture.rpm"
    else
        wanted="skewguard-[0-9]*-linux-$architecture.tar.gz"
    fi
    case ${SKEWGUARD_RELEASE%%\?*} in
        *.deb | *.rpm | *.tar.gz)
            file=${SKEWGUARD_RELEASE%%\?*} && file=${file##*/}
            fetch "$SKEWGUARD_RELEASE" "$work/$file"
            verify "$file"
            ;;
        *)
            fetch "$SKEWGUARD_RELEASE/SHA256SUMS" "$work/SHA256SUMS"
            verify SHA256SUMS
            file=$(listed "$wanted" <"$work/SHA256SUMS")
            [ -n "$file" ] || die "the release has no $wanted"
            fetch "$SKEWGUARD_RELEASE/$file" "$work/$file"
            SKEWGUARD_SUM=$(while read -r sum name; do [ "$name" != "$file" ] || echo "$sum"; done <"$work/SHA256SUMS")
            verify "$file"
            ;;
    esac
    install_file "$work/$file"
}

listed() {
    found=''
    while read -r _ name; do
        case $name in $1) found=$name ;; esac
    done
    echo "$found"
}

verify() {
    [ -n "${SKEWGUARD_SUM:-}" ] || case $SKEWGUARD_RELEASE in /*) return 0 ;; esac
    (cd "$work" && echo "${SKEWGUARD_SUM:-missing}  $1" | sha256sum --check --quiet) || die "$1 has not the sum that was given"
}

install_file() {
    case $1 in
        *.deb) chmod 755 "$work" && apt_get install "$1" ;;
        *.rpm)
            name=$(rpm --query --package "$1")
            ! rpm --query --quiet "$name" || return 0
            as_dnf --disablerepo='*' install "$1"
            ;;
        *)
            mkdir "$work/tarball"
            tar -xzf "$1" -C "$work/tarball" --strip-components=1
            sh "$work/tarball/install.sh"
            ;;
    esac
}

fetch() {
    case $1 in
        /*) cp "$1" "$2" ;;
        s3://*) fetch_object "${1#s3://}" "$2" ;;
        *) download "$1" "$2" ;;
    esac
}

download() {
    if has curl; then
        printf 'url = "%s"\n' "$1" | curl --config - --fail --silent --show-error --location --retry 5 --output "$2"
    else
        printf %s "$1" | python3 -c 'import shutil, sys, urllib.request
with urllib.request.urlopen(sys.stdin.read(), timeout=60) as answer, open(sys.argv[1], "wb") as file:
    shutil.copyfileobj(answer, file)' "$2"
    fi
}

fetch_object() {
    if has aws; then
        choose_region
        aws s3 cp --only-show-errors "s3://$1" "$2"
        return
    fi
    has curl || die 'objects of S3 are read with the AWS CLI or curl, and both are missing: use a pre-signed URL'
    version=$(curl --version | sed -n '1s/^curl \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    [ $((${version% *} * 1000 + ${version#* })) -ge 7087 ] ||
        die 'a curl older than 7.87 does not sign what S3 wants: install the AWS CLI, or use a pre-signed URL'
    region=$(imds meta-data/placement/region)
    endpoint=${AWS_ENDPOINT_URL_S3:-https://s3.$region.$(imds meta-data/services/domain)}
    document=$(imds "meta-data/iam/security-credentials/$(imds meta-data/iam/security-credentials/)")
    printf 'url = "%s"\nuser = "%s:%s"\nheader = "x-amz-security-token: %s"\naws-sigv4 = "aws:amz:%s:s3"\n' \
        "$endpoint/$1" "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)" "$region" |
        curl --config - --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --fail --silent --show-error --retry 5 --output "$2"
}

choose_region() {
    [ -z "${AWS_DEFAULT_REGION:-}" ] || return 0
    AWS_DEFAULT_REGION=${AWS_REGION:-$(aws configure get region || imds meta-data/placement/region)} || AWS_DEFAULT_REGION=
    if [ -n "$AWS_DEFAULT_REGION" ]; then export AWS_DEFAULT_REGION; else unset AWS_DEFAULT_REGION; fi
}

imds() {
    if [ ! -e "$work/token" ]; then
        token=$(ask_imds api/token --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300') || return
        (umask 077 && printf 'X-aws-ec2-metadata-token: %s\n' "$token" >"$work/token")
    fi
    ask_imds "$1" --header "@$work/token"
}

ask_imds() {
    path=$1 && shift
    curl --noproxy '*' --fail --silent --show-error --connect-timeout 2 --max-time 5 --retry 3 --retry-max-time 10 \
        "$@" "http://169.254.169.254/latest/$path"
}

field() { printf %s "$document" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }


remove() {
    if has dpkg-query && dpkg-query --show skewguard >/dev/null 2>&1; then
        apt_get remove skewguard
    elif has rpm && rpm --query --quiet skewguard; then
        as_dnf remove skewguard
    fi
    if installed; then
        uninstaller=/usr/local/share/skewguard/uninstall.sh
        [ -e "$uninstaller" ] || die "neither a package nor a tarball has brought $(command -v skewguard)"
        sh "$uninstaller" --keep-state
    fi
}

purge() {
    remove
    if has apt-get; then
        for package in skewguard skewguard-archive-keyring; do
            ! dpkg-query --show "$package" >/dev/null 2>&1 || apt_get purge "$package"
        done
    fi
    if has rpm; then
        forget_keys
        ! rpm --query --quiet skewguard-archive-keyring || as_dnf remove skewguard-archive-keyring
    fi
    rm -rf /var/lib/private/skewguard /var/lib/skewguard /var/cache/dnf/skewguard-*
    rm -f "$config" "$environment" "$apt_source" "$apt_key" "$yum_source" "$yum_key" "$yum_next_key"
    [ ! -d /etc/skewguard ] || rmdir --ignore-fail-on-non-empty /etc/skewguard
}

forget_keys() {
    for file in "$yum_key" "$yum_next_key"; do
        [ ! -e "$file" ] || rpmkeys --dbpath "$work/keys" --import "$file"
    done
    for name in $(rpm --dbpath "$work/keys" --query gpg-pubkey 2>/dev/null); do
        case $name in
            gpg-pubkey-*-*) ! rpm --query --quiet "$name" || rpm --erase --allmatches "$name" ;;
        esac
    done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
main "${1:-$SKEWGUARD_ACTION}"
# -- end of host.sh
