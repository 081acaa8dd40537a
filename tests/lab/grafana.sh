# shellcheck shell=bash
# Grafana's own types, by which its dashboards are checked. Read by tests/run.

# install_grafana: into target/lab/grafana, where tsc is as well.
install_grafana() {
    local wanted=$here/tests/grafana.json into=$lab/grafana
    cmp -s "$wanted" "$into/package.json" && [[ -e $into/ready ]] && return
    need_command npm npm
    rm -rf "$into"
    mkdir -p "$into"
    cp "$wanted" "$into/package.json"
    npm --prefix "$into" install --silent --no-audit --no-fund --no-package-lock --ignore-scripts >"$lab/grafana.log" 2>&1 ||
        die "failed to install the types of Grafana with npm: see $lab/grafana.log"
    touch "$into/ready"
    warn "installed the types of Grafana"
}
