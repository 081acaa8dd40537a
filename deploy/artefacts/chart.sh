# shellcheck shell=bash
# The chart of Kubernetes. Read by deploy/release.

# helm judges and packs it, and writes the time into the archive; so that is packed again.
pack_chart() {
    local packed=$work/chart
    has helm "the chart" "it with deploy/artefacts/helm, or as https://helm.sh/docs/intro/install says" || return 0
    say "Packing the chart"
    mkdir -p "$packed"
    helm lint --quiet --strict deploy/kubernetes/skewguard >&2
    helm package --version "$version" --app-version "$version" --destination "$packed" deploy/kubernetes/skewguard >/dev/null
    tar --extract --gzip --directory "$packed" --file "$packed/skewguard-$version.tgz"
    pack_folder "$packed" skewguard | gzip -9n >"$artefacts/skewguard-chart-$version.tgz"
}
