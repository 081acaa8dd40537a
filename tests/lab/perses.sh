# shellcheck shell=bash
# What draws dashboards: the components of Perses in one page, and a browser without a window. Read by tests/run.

# install_perses: into target/lab/perses, with the page that is made of them.
install_perses() {
    local from=$here/tests/perses into=$lab/perses name
    for name in package.json package-lock.json page.jsx observer.js; do
        cmp -s "$from/$name" "$into/$name" || rm -f "$into/ready"
    done
    [[ -e $into/ready ]] && return
    need_command npm npm
    rm -rf "$into"
    mkdir -p "$into"
    cp "$from"/* "$into"
    npm --prefix "$into" ci --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps >"$lab/perses.log" 2>&1 ||
        die "failed to install the components of Perses with npm: see $lab/perses.log"
    (cd "$into" && node node_modules/esbuild/bin/esbuild page.jsx --bundle --minify --format=iife --jsx=automatic \
        --loader:.woff2=dataurl --loader:.woff=empty --define:process.env.NODE_ENV='"production"' --define:global=window \
        --outfile=page.js) >>"$lab/perses.log" 2>&1 || die "failed to build tests/perses/page.jsx: see $lab/perses.log"
    touch "$into/ready"
    warn "installed the components of Perses"
}

# install_chromium: unpacked into target/lab/chromium, with the libraries that this machine lacks. Ubuntu has none but in a
# container of its own, which sees nothing of the lab.
install_chromium() {
    local into=$lab/chromium package
    [[ -e $into/ready ]] && return
    if is_ubuntu; then
        warn "dashboards are not drawn (lab_perses): that needs the package chromium of Debian"
        return
    fi
    rm -rf "$into"
    mkdir -p "$into/root"
    download_chromium "$into/debs" || { use_own_lists machine && download_chromium "$into/debs"; } ||
        die "failed to download chromium: see $lab/chromium.log"
    for package in "$into"/debs/*.deb; do
        dpkg -x "$package" "$into/root"
    done
    rm -rf "$into/debs"
    touch "$into/ready"
    warn "unpacked chromium"
}

has_chromium() { [[ -e $lab/chromium/ready ]]; }

# download_chromium FOLDER: by the lists that there are; these may name what is gone.
download_chromium() {
    local packages
    rm -rf "$1"
    mkdir -p "$1"
    mapfile -t packages < <(missing_with chromium)
    ((${#packages[@]})) || return 1
    (cd "$1" && apt-get "${own_apt[@]}" -o APT::Sandbox::User= -q download "${packages[@]}") >"$lab/chromium.log" 2>&1
}

# missing_with PACKAGE: prints it and what it needs, as far as this machine has not installed it.
missing_with() {
    { apt-get "${own_apt[@]}" -s install --no-install-recommends "$1" 2>/dev/null || true; } | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}
