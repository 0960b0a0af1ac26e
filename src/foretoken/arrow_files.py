"""Parquet and feather: what a file holds is counted before it is unpacked, and texts stay shared until they are asked.

A parquet file of a few KB may hold one long text for a million rows, and a buffer of feather may unpack to anything.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from foretoken.bounded import LEAST_UNPACKED, MOST_TIMES_PACKED, File, Refusal, limit, require_size, too_large

ROWS_AT_ONCE, TEXTS_AT_ONCE = 2**16, 2**8
"""Rows of a batch, of a table and of texts."""
FEATHER_MARK = b"ARROW1\0\0"
UNPACKED = -1
"""In place of its unpacked length, a buffer of feather that is stored as it is."""


def _parquet_batches(
    source: Any, path: Path, error: Refusal, rows: int, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """The rows of a parquet file in record batches of so many rows, texts as indices into those that there are.

    `source` is the open file. Raises `error` for parts that unpack to more than anything honest does, and pyarrow's own
    errors.
    """
    import pyarrow.parquet

    metadata = pyarrow.parquet.ParquetFile(source).metadata
    texts: set[str] = set()
    for chunk in _chunks(metadata):
        packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
        if unpacked > limit(most := max(LEAST_UNPACKED, MOST_TIMES_PACKED * packed)):
            raise too_large(f"{chunk.path_in_schema} in {path}, unpacked,", most, "bytes", error, unpacked)
        if "DELTA_BYTE_ARRAY" in chunk.encodings:
            # Each text says only where it differs from the one before: any of them may be as long as the whole chunk.
            rows = min(rows, max(1, LEAST_UNPACKED // max(1, unpacked)))
        elif chunk.physical_type == "BYTE_ARRAY":
            texts.add(chunk.path_in_schema)
    # A second time, since only what is asked for at the start is kept as indices.
    source.seek(0)
    with pyarrow.parquet.ParquetFile(source, read_dictionary=sorted(texts)) as file:
        yield from file.iter_batches(batch_size=rows, columns=columns, use_threads=False)


def parquet_values(file: File, path: Path, error: Refusal, column: str, longest: int) -> Iterator[object]:
    """The values of one column of a parquet file, one after the other; texts of at most `longest` bytes.

    Raises `error` beyond that, and where all of them are more than any file of that size unpacks to.
    """
    total, most = 0, max(LEAST_UNPACKED, MOST_TIMES_PACKED * os.fstat(file.fileno()).st_size)
    for batch in _parquet_batches(file, path, error, TEXTS_AT_ONCE, [column]):
        values = batch.column(0)
        size = _decoded_bytes(values)
        total += size
        if total > limit(most):
            raise too_large(f"{path}, unpacked,", most, "bytes", error)
        # Of nested values it is what a batch takes together that is bounded: one row may have all of it.
        flat = _is_text(_written_out(values.type))
        longest_here = _longest(values) if flat else size // 4
        if longest_here > limit(longest):
            raise too_large(f"a text in {path}", longest, "bytes", error, longest_here)
        yield from (value.as_py() for value in values)


def _longest(texts: Any) -> int:
    import pyarrow
    from pyarrow import compute

    own = texts.dictionary if isinstance(texts, pyarrow.DictionaryArray) else texts
    return int(compute.max(_lengths(own)).as_py() or 0)


def _chunks(metadata: Any) -> Iterator[Any]:
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for column in range(row_group.num_columns):
            yield row_group.column(column)


def parquet_table(data: bytes, path: Path, error: Refusal, most: int) -> Any:
    """A parquet file as an Arrow table of plain columns; `error` beyond so many bytes, or cells, when written out."""
    import pyarrow.parquet

    source = pyarrow.BufferReader(data)
    rows, columns, cells, size = _parquet_size(source)
    require_size(rows, columns, path, error, cells)
    _require_bytes(size, path, error, most)
    batches: list[Any] = []
    decoded = 0
    for batch in _parquet_batches(source, path, error, ROWS_AT_ONCE):
        decoded += sum(map(_decoded_bytes, batch.columns))
        _require_bytes(decoded, path, error, most)
        batches.append(batch)
    empty = pyarrow.parquet.read_schema(pyarrow.BufferReader(data)).empty_table()
    return _plain(pyarrow.Table.from_batches(batches) if batches else empty, path, error, most)


def feather_table(data: bytes, path: Path, error: Refusal, most: int) -> Any:
    """The same of a feather file. Raises ValueError for what is none, and pyarrow's own errors."""
    import pyarrow

    if not data.startswith(FEATHER_MARK):
        raise ValueError("not a feather file of version 2; write it again with pandas or pyarrow")
    # As the stream of messages that it is: then what is counted and what is read are the same.
    stream = pyarrow.py_buffer(data)[len(FEATHER_MARK) :]
    cells, size = _feather_size(stream)
    require_size(0, 0, path, error, cells)
    _require_bytes(size, path, error, most)
    options = pyarrow.ipc.IpcReadOptions(use_threads=False)
    return _plain(pyarrow.ipc.open_stream(stream, options=options).read_all(), path, error, most)


def _plain(table: Any, path: Path, error: Refusal, most: int) -> Any:
    """A table without indices into texts, if that is no more than there may be."""
    import pyarrow

    require_size(table.num_rows, table.num_columns, path, error)
    table.validate(full=True)  # else text that is not UTF-8 is only found where a cell is printed
    _require_bytes(sum(map(_decoded_bytes, table.columns)), path, error, most)
    fields = [field.with_type(_written_out(field.type)) for field in table.schema]
    return table.cast(pyarrow.schema(fields))


def _require_bytes(size: int, path: Path, error: Refusal, most: int) -> None:
    if size > limit(most):
        raise too_large(f"{path}, unpacked,", most, "bytes", error, size)


def _parquet_size(source: Any) -> tuple[int, int, int, int]:
    """Rows, columns, cells (those of lists, too) and unpacked bytes of an open parquet file, as it says itself."""
    import pyarrow.parquet

    metadata = pyarrow.parquet.ParquetFile(source).metadata
    widths = {metadata.schema.column(n).path: metadata.schema.column(n).length for n in range(metadata.num_columns)}
    cells = size = 0
    for chunk in _chunks(metadata):
        cells += chunk.num_values
        size += max(chunk.total_uncompressed_size, chunk.num_values * max(0, widths.get(chunk.path_in_schema, 0)))
    source.seek(0)
    return metadata.num_rows, metadata.num_columns, max(cells, metadata.num_rows * metadata.num_columns), size


def _feather_size(content: Any) -> tuple[int, int]:
    """Cells and unpacked bytes of the stream of messages in a feather file. Raises struct.error for damaged ones."""
    import pyarrow

    cells = size = 0
    for message in pyarrow.ipc.MessageReader.open_stream(content):
        if message.type == "schema":
            continue
        head = message.metadata.to_pybytes()
        # Message { version; header_type; header: RecordBatch or DictionaryBatch { id; data: RecordBatch } }
        batch = _table(head, _field(head, _table(head, 0), 2))
        if message.type == "dictionary":
            batch = _table(head, _field(head, batch, 1))
        # RecordBatch { length; nodes: [length, nulls]; buffers: [offset, length]; compression }
        packed = bool(_field(head, batch, 3))
        cells += sum(length for length, _ in _pairs(head, _field(head, batch, 1)))
        for offset, length in _pairs(head, _field(head, batch, 2)):
            unpacked = struct.unpack_from("<q", message.body, offset)[0] if packed and length else UNPACKED
            size += length if unpacked == UNPACKED else unpacked
    return cells, size


def _table(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a table of flatbuffers is; 0 where it has none."""
    described = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", data, described)[0]:
        return 0
    offset = struct.unpack_from("<H", data, described + 4 + 2 * number)[0]
    return table + int(offset) if offset else 0


def _pairs(data: bytes, field: int) -> Iterator[tuple[int, int]]:
    """The structs of two 64-bit numbers in a vector."""
    if field:
        vector = _table(data, field)
        (count,) = struct.unpack_from("<I", data, vector)
        yield from struct.iter_unpack("<qq", data[vector + 4 : vector + 4 + 16 * count])


def _decoded_bytes(array: Any) -> int:
    """Bytes that the values of an Arrow array take when each is written out. Raises TypeError for types of no table."""
    import pyarrow
    from pyarrow import compute, types

    kind = array.type
    if isinstance(array, pyarrow.ChunkedArray):
        return sum(map(_decoded_bytes, array.chunks))
    if isinstance(array, pyarrow.ExtensionArray):
        return _decoded_bytes(array.storage)
    if types.is_dictionary(kind):
        lengths = _lengths(array.dictionary)
        return int(compute.sum(lengths.take(array.indices)).as_py() or 0) + len(array)
    if _is_text(kind):
        return int(compute.sum(_lengths(array)).as_py() or 0)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _decoded_bytes(array.flatten())
    if types.is_map(kind):
        return _decoded_bytes(array.keys) + _decoded_bytes(array.items)
    if types.is_struct(kind):
        return sum(map(_decoded_bytes, array.flatten()))
    if types.is_null(kind) or types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind):
        return len(array) * (0 if types.is_null(kind) else (kind.bit_width + 7) // 8)
    raise TypeError(f"values of the type {kind}")


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_string_view)
    return any(test(kind) for test in (*tests, types.is_binary_view))


def _lengths(values: Any) -> Any:
    """The bytes of each value, in 64 bits."""
    import pyarrow
    from pyarrow import compute

    if _is_text(values.type):
        return compute.binary_length(values).cast(pyarrow.int64())
    each = _decoded_bytes(values) // max(1, len(values))
    return pyarrow.array([each] * len(values), pyarrow.int64())


def _written_out(kind: Any) -> Any:
    """An Arrow type without indices into a dictionary."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):
        return _written_out(kind.value_type)
    if types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(_written_out(kind.value_type)))
    if types.is_large_list(kind):
        return pyarrow.large_list(kind.value_field.with_type(_written_out(kind.value_type)))
    if types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return pyarrow.struct([field.with_type(_written_out(field.type)) for field in fields])
    return kind
