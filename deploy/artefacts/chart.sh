# shellcheck shell=bash
# The chart of Kubernetes. Read by deploy/release.

# helm judges and packs it, and writes the time into the archive; so that is packed again.
pack_chart() {
    local packed=$work/chart
    command -v helm >/dev/null || { lacks "the chart" "helm is missing: https://helm.sh/docs/intro/install"; return; }
    say "Packing the chart"
    mkdir -p "$packed"
    helm lint --quiet --strict deploy/kubernetes/skewguard >&2
    helm package --version "$version" --app-version "$version" --destination "$packed" deploy/kubernetes/skewguard >/dev/null
    tar --extract --gzip --directory "$packed" --file "$packed/skewguard-$version.tgz"
    tar --create --directory "$packed" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --mtime="@$SOURCE_DATE_EPOCH" skewguard | gzip -9n >"$artefacts/skewguard-chart-$version.tgz"
}
