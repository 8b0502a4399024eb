"""Writers of small data files, good and bad, for the data tests."""

import gzip
import struct
import zipfile
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array, shape=None):
    """`array` as IDX; `shape` overrides what the header declares."""
    shape = array.shape if shape is None else shape
    big = array.astype(array.dtype.newbyteorder(">"))
    header = bytes([0, 0, IDX_CODES[array.dtype.str[1:]], len(shape)])
    return header + struct.pack(f">{len(shape)}I", *shape) + big.tobytes()


def mnist_folder(folder, images, labels=None, packed=False):
    """A folder as MNIST is distributed, its training pair alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pack, suffix = (gzip.compress, ".gz") if packed else (bytes, "")
    (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(images)))
    if labels is not None:
        (folder / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(labels)))
    return folder


def npy_bytes(array):
    out = BytesIO()
    np.save(out, array)
    return out.getvalue()


def npy_claiming(descr="<f4", shape=(4, 3), fortran=False, values=b""):
    """A .npy with any header in front of any bytes."""
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + values


def picture(colour=(200, 100, 50), size=(8, 8), mode="RGB", kind="PNG", **options):
    out = BytesIO()
    Image.new(mode, size, colour).save(out, kind, **options)
    return out.getvalue()


def noise_picture(seed, size=(8, 8), kind="PNG"):
    """RGB noise, and the array it was made of."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue(), pixels


def png_claiming(width, height):
    """A PNG whose header is right but for its size, with hardly any pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def zip_bytes(members, method=zipfile.ZIP_STORED):
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def patched_zip(data, offset_in_entry, value, central=True):
    """`data` with bytes of its first central (or local) entry overwritten."""
    at = data.index(b"PK\1\2" if central else b"PK\3\4") + offset_in_entry
    return data[:at] + value + data[at + len(value) :]
