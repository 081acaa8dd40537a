"""The codes of the package for Windows Installer, so that the same source gives the same bytes.

  msi.py product VERSION      the product code of a version
  msi.py settle FILE SECONDS  gives a package whose codes and dates are wixl's those of what is in it, and a date
"""

import hashlib
import struct
import sys
import uuid

PLACE = "https://github.com/skewguard/skewguard"
# Which set of properties it is that says what the file is (MS-OLEPS 3.1), and the numbers of some of these.
SUMMARY = uuid.UUID("f29f85e0-4ff9-1068-ab91-08002b27b3d9").bytes_le
PACKAGE_CODE, CREATED, SAVED = 9, 12, 13
STRING, TIME = 30, 64
# Of 100 ns, from 1601 to 1970.
EPOCH = 116444736000000000


def main():
    match sys.argv[1:]:
        case ["product", version]:
            print(str(uuid.uuid5(uuid.NAMESPACE_URL, f"{PLACE}/windows/{version}")).upper())
        case ["settle", path, seconds]:
            with open(path, "r+b") as file:
                settled = settle(file.read(), int(seconds))
                file.seek(0)
                file.write(settled)
        case _:
            sys.exit(__doc__)


def settle(package, seconds):
    package = bytearray(package)
    places = dict(summary(package))
    for number in (CREATED, SAVED):
        kind, at, _ = places[number]
        assert kind == TIME
        struct.pack_into("<Q", package, at, EPOCH + seconds * 10_000_000)
    kind, at, length = places[PACKAGE_CODE]
    assert kind == STRING and length == 39
    package[at : at + 38] = b"-" * 38
    code = uuid.uuid5(uuid.NAMESPACE_URL, f"{PLACE}/windows/{hashlib.sha256(package).hexdigest()}")
    package[at : at + 38] = f"{{{code}}}".upper().encode()
    return package


def summary(package):
    """Number, kind, place and length of each property. The set is short, so that it lies in one piece."""
    if package.count(SUMMARY) != 1:
        sys.exit("the package has no summary, or several")
    at = package.index(SUMMARY)
    # The offset behind its name counts from the start of the stream, whose head has 28 bytes.
    section = at - 28 + struct.unpack_from("<I", package, at + 16)[0]
    for index in range(struct.unpack_from("<I", package, section + 4)[0]):
        number, offset = struct.unpack_from("<II", package, section + 8 + index * 8)
        kind, length = struct.unpack_from("<II", package, section + offset)
        value = section + offset + (8 if kind == STRING else 4)
        yield number, (kind, value, length)


if __name__ == "__main__":
    main()
