"""Writes what a program is made of, as CycloneDX 1.6: one document for each artefact that it is in.

The list of crates is the program's own: cargo-auditable has put it there, with what was compiled into it for its
architecture and what helped to compile it. Licences come from the crates themselves, and the sums from Cargo.lock. The
same artefact gives the same document.
"""

import argparse
import hashlib
import json
import re
import struct
import sys
import time
import tomllib
import uuid
import zlib

# What names the loader, in an ELF of 64 bits in little-endian order.
PROGRAM_INTERPRETER = 3
REPOSITORY = "https://github.com/skewguard/skewguard"


def main():
    arguments = parse_arguments()
    with open(arguments.lock, "rb") as file:
        sums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(file)["package"]}
    document = Document()
    for program, metadata in zip(arguments.program, arguments.metadata, strict=True):
        architecture, path = program.split("=", 1)
        with open(metadata, encoding="utf-8") as file:
            crates = {(p["name"], p["version"]): p for p in json.load(file)["packages"]}
        with open(path, "rb") as file:
            document.add_program(architecture, file.read(), crates, sums)
    with open(arguments.artefact, "rb") as file:
        document.write(arguments.artefact.rsplit("/", 1)[-1], arguments.version, file.read(), arguments.date)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefact", required=True)
    parser.add_argument("--version", required=True, help="of the release")
    parser.add_argument("--date", required=True, type=int, help="in seconds since 1970")
    parser.add_argument("--lock", required=True, help="Cargo.lock")
    parser.add_argument("--program", action="append", required=True, help="ARCHITECTURE=PATH")
    parser.add_argument("--metadata", action="append", required=True, help="what cargo metadata says, for each program")
    return parser.parse_args()


class Document:
    """What is in one artefact."""

    def __init__(self):
        self.programs = []
        self.components = {}
        self.dependencies = {}

    def add_program(self, architecture, program, crates, sums):
        sections = dict(pe_sections(program) if is_pe(program) else elf_sections(program))
        if ".dep-v0" not in sections:
            sys.exit("the program has no list of its crates: it was not built with cargo auditable")
        packages = json.loads(zlib.decompress(sections[".dep-v0"]))["packages"]
        references = [self.add_crate(package, crates, sums) for package in packages if not package.get("root")]
        references = iter(references)
        references = [None if package.get("root") else next(references) for package in packages]
        root = next(package for package in packages if package.get("root"))
        own = f"skewguard:{architecture}"
        self.programs.append(
            {
                "type": "application",
                "bom-ref": own,
                "name": root["name"],
                "version": root["version"],
                "description": f"the program for {architecture}",
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(program).hexdigest()}],
                "licenses": licences(crates[root["name"], root["version"]]),
                "purl": f"pkg:github/skewguard/skewguard@v{root['version']}",
            }
        )
        for package, reference in zip(packages, references):
            needed = {references[index] for index in package.get("dependencies", [])}
            if package.get("root"):
                needed.update(self.add_runtime(program, sections))
            self.dependencies.setdefault(reference or own, set()).update(needed)

    def add_crate(self, package, crates, sums):
        key = package["name"], package["version"]
        if key not in crates or key not in sums:
            sys.exit(f"the program has {key[0]} {key[1]}, and Cargo.lock has not: it was built of other sources")
        reference = f"pkg:cargo/{key[0]}@{key[1]}"
        component = {
            "type": "library",
            "bom-ref": reference,
            "name": key[0],
            "version": key[1],
            # Compiled in, or a program that has run on the machine that compiled it.
            "scope": "excluded" if package.get("kind") == "build" else "required",
            "licenses": licences(crates[key]),
            "purl": reference,
        }
        if sums[key]:
            component["hashes"] = [{"alg": "SHA-256", "content": sums[key]}]
        if source := crates[key].get("repository"):
            component["externalReferences"] = [{"type": "vcs", "url": source}]
        former = self.components.setdefault(reference, component)
        if component["scope"] == "required":
            former["scope"] = "required"
        return reference

    def add_runtime(self, program, sections):
        """What else a program of Rust has in it. A program that needs a loader has its C library from the host."""
        runtime = []
        release = re.search(rb"rustc version (\S+)", sections.get(".comment", b""))
        standard = {"type": "library", "name": "rust-std", "scope": "required"}
        standard["description"] = "the standard library of Rust"
        standard["licenses"] = [{"expression": "MIT OR Apache-2.0"}]
        standard["bom-ref"] = "rust-std"
        if release:
            standard["version"] = release[1].decode()
            standard["bom-ref"] = standard["purl"] = f"pkg:generic/rust-std@{standard['version']}"
        runtime.append(standard)
        if is_pe(program):
            mingw = {"type": "library", "name": "mingw-w64", "scope": "required", "bom-ref": "mingw-w64"}
            mingw["description"] = "what starts a program on Windows, linked in"
            runtime.append(mingw | {"licenses": [{"license": {"id": "ZPL-2.1"}}]})
            gcc = {"type": "library", "name": "libgcc", "scope": "required", "bom-ref": "libgcc"}
            gcc["description"] = "the runtime of GCC, linked in"
            runtime.append(gcc | {"licenses": [{"expression": "GPL-3.0-or-later WITH GCC-exception-3.1"}]})
        elif is_static(program):
            libc = {"type": "library", "name": "musl", "scope": "required", "bom-ref": "musl"}
            runtime.append(libc | {"description": "the C library, linked in", "licenses": [{"license": {"id": "MIT"}}]})
        for component in runtime:
            self.components.setdefault(component["bom-ref"], component)
        return [component["bom-ref"] for component in runtime]

    def write(self, name, version, artefact, date):
        digest = hashlib.sha256(artefact).hexdigest()
        document = {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{REPOSITORY}#{digest}')}",
            "version": 1,
            "metadata": {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date)),
                "component": {
                    "type": "file",
                    "bom-ref": name,
                    "name": name,
                    "version": version,
                    "hashes": [{"alg": "SHA-256", "content": digest}],
                    "externalReferences": [{"type": "vcs", "url": REPOSITORY}],
                },
            },
            "components": self.programs + [self.components[key] for key in sorted(self.components)],
            "dependencies": [{"ref": name, "dependsOn": [program["bom-ref"] for program in self.programs]}]
            + [{"ref": key, "dependsOn": sorted(self.dependencies[key])} for key in sorted(self.dependencies)],
        }
        json.dump(document, sys.stdout, indent=1)
        print()


def licences(crate):
    if not crate["license"]:
        sys.exit(f"{crate['name']} {crate['version']} names no licence")
    # Cargo once took a slash for it.
    return [{"expression": re.sub(r"\s*/\s*", " OR ", crate["license"])}]


def is_pe(program):
    return program[:2] == b"MZ"


def pe_sections(program):
    """Of Windows' programs (Microsoft's PE format): a head of DOS leads to the real one."""
    (head,) = struct.unpack_from("<I", program, 0x3C)
    if program[head : head + 4] != b"PE\0\0":
        sys.exit("the program for Windows has no head")
    count, optional = struct.unpack_from("<6xH12xH", program, head)
    for index in range(count):
        name, size, stored, start = struct.unpack_from("<8sI4xII", program, head + 24 + optional + index * 40)
        yield name.rstrip(b"\0").decode(), program[start : start + min(size, stored)]


def elf_sections(program):
    if program[:6] != b"\x7fELF\x02\x01":
        sys.exit("the program is no ELF of 64 bits in little-endian order")
    (offset,) = struct.unpack_from("<Q", program, 0x28)
    size, count, names = struct.unpack_from("<HHH", program, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", program, offset + index * size) for index in range(count)]
    if not headers:
        return
    name_table = headers[names][4]
    for name, _, _, _, start, length in headers:
        end = program.index(b"\0", name_table + name)
        yield program[name_table + name : end].decode(), program[start : start + length]


def is_static(program):
    (offset,) = struct.unpack_from("<Q", program, 0x20)
    size, count = struct.unpack_from("<HH", program, 0x36)
    kinds = [struct.unpack_from("<I", program, offset + index * size)[0] for index in range(count)]
    return PROGRAM_INTERPRETER not in kinds


if __name__ == "__main__":
    main()
