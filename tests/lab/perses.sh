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

# install_chromium: unpacked into target/lab/chromium, with the libraries that this machine lacks.
install_chromium() {
    local into=$lab/chromium package packages
    [[ -e $into/ready ]] && return
    rm -rf "$into"
    mkdir -p "$into/debs" "$into/root"
    mapfile -t packages < <(missing_with chromium)
    ((${#packages[@]})) || { use_own_lists machine && mapfile -t packages < <(missing_with chromium); }
    ((${#packages[@]})) || { command -v chromium >/dev/null && return; }
    ((${#packages[@]})) || die "no package chromium found for this machine: see $lab/apt/update.log"
    (cd "$into/debs" && apt-get "${own_apt[@]}" -o APT::Sandbox::User= -q download "${packages[@]}") >"$lab/chromium.log" 2>&1 ||
        die "failed to download chromium: see $lab/chromium.log"
    for package in "$into"/debs/*.deb; do
        dpkg -x "$package" "$into/root"
    done
    rm -rf "$into/debs"
    touch "$into/ready"
    warn "unpacked chromium"
}

# missing_with PACKAGE: prints it and what it needs, as far as this machine has not installed it.
missing_with() {
    { apt-get "${own_apt[@]}" -s install --no-install-recommends "$1" 2>/dev/null || true; } | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}
