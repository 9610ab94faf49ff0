"""What a GGUF file says about itself, by Python's standard library: metadata, and the tensors' names, sizes and bytes.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
import os
import struct

STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class _Reader:
    def __init__(self, file):
        self._file = file

    def scalar(self, form):
        return struct.unpack(form, self._file.read(struct.calcsize(form)))[0]

    def string(self):
        return self._file.read(self.scalar("<Q")).decode("utf-8", "replace")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, count = self.scalar("<I"), self.scalar("<Q")
            return [self.value(kind) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def read_header(path):
    """(metadata by key, {tensor name: (dims, bytes)}); dims as in the file, the innermost first."""
    with open(path, "rb") as file:
        reader = _Reader(file)
        if file.read(4) != b"GGUF":
            raise SystemExit(f"{path} is no GGUF file")
        reader.scalar("<I")  # version
        tensor_count, value_count = reader.scalar("<Q"), reader.scalar("<Q")
        metadata = {}
        for _ in range(value_count):
            key = reader.string()
            metadata[key] = reader.value(reader.scalar("<I"))
        found = []
        for _ in range(tensor_count):
            name = reader.string()
            dims = [reader.scalar("<Q") for _ in range(reader.scalar("<I"))]
            reader.scalar("<I")  # type of the elements
            found.append((reader.scalar("<Q"), name, dims))
        alignment = metadata.get("general.alignment", 32)
        begin = -(-file.tell() // alignment) * alignment
    # A tensor's bytes reach to the next one; the padding between them is below `alignment`.
    found.sort()
    ends = [offset for offset, _, _ in found[1:]] + [os.path.getsize(path) - begin]
    return metadata, {name: (dims, end - offset) for (offset, name, dims), end in zip(found, ends)}
