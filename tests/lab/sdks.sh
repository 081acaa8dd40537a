# shellcheck shell=bash
# The AWS SDKs for Java and JavaScript, which programs of the lab use as programs of users do. Read by tests/run.

# install_sdks: into target/lab/sdks.
install_sdks() {
    mkdir -p "$lab/sdks"
    install_java_sdks
    install_javascript_sdk
}

# It takes the Python that install_moto has made.
install_java_sdks() {
    local wanted=$here/tests/sdks/java.txt into=$lab/sdks/java new=$lab/sdks/java.new
    need_command java default-jre-headless
    cmp -s "$wanted" "$into/java.txt" && return
    rm -rf "$into" "$new"
    "$lab/venv/bin/python" -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
        --dest "$new/wheels" --requirement "$wanted" ||
        die "failed to download the AWS SDKs for Java with pip: see tests/sdks/java.txt"
    "$lab/venv/bin/python" - "$new" <<'END' || die "the packages of tests/sdks/java.txt have other files now"
import pathlib, sys, zipfile
into = pathlib.Path(sys.argv[1])
# A folder for each SDK. logback would write to standard output, where the programs answer.
folders = {"amazon_kclpy/jars/": "v2", "pyathenajdbc/": "v1"}
for wheel in (into / "wheels").iterdir():
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            for within, folder in folders.items():
                if name.startswith(within) and name.endswith(".jar") and "logback" not in name:
                    (into / folder).mkdir(exist_ok=True)
                    (into / folder / name.rpartition("/")[2]).write_bytes(archive.read(name))
    wheel.unlink()
assert list((into / "v2").glob("sts-2.*.jar")) and list((into / "v1").glob("*.jar"))
END
    rmdir "$new/wheels"
    cp "$wanted" "$new/java.txt"
    mv "$new" "$into"
    warn "installed the AWS SDKs for Java"
}

install_javascript_sdk() {
    local wanted=$here/tests/sdks/javascript into=$lab/sdks/javascript
    need_command npm npm
    need_command node nodejs
    cmp -s "$wanted/package-lock.json" "$into/ready" && return
    rm -rf "$into"
    cp -r "$wanted" "$into"
    npm --prefix "$into" ci --silent --no-audit --no-fund --ignore-scripts >"$lab/sdks/javascript.log" 2>&1 ||
        die "failed to install the AWS SDK for JavaScript with npm: see $lab/sdks/javascript.log"
    cp "$into/package-lock.json" "$into/ready"
    warn "installed the AWS SDK for JavaScript"
}
