"""A CSV file as columns of text, some thousand rows at a time; it knows lines, not bars.

The quick way joins the lines of a batch and splits them once, which costs half of what `csv.reader`
does; it is left for good at the first quotation mark, and for one batch where a line has not as
many fields as the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import TextIO

from backtest.data._bare import bare_names
from backtest.data._columns import known_names, normal
from backtest.data._files import BROKEN_GZIP, InputFile
from backtest.errors import DataError

__all__ = ["CsvTable"]

_BATCH_ROWS = 4096
_BATCH_CHARACTERS = 1 << 18
_DELIMITERS = ",;\t"
_LONGEST_HEADER = 1 << 16
_YFINANCE = {"price", "ticker"}
"""What begins the first two lines of a table of several tickers, as yfinance saves it."""

_ADDRESS = re.compile(r"https?://[^\s,;]+", re.ASCII | re.IGNORECASE)

_Row = list[str]
_Columns = list[Sequence[str]]


class CsvTable:
    """The header and the rows of a CSV file; the delimiter is the one that makes a header of it.

    A few kinds of file are read without a header (`bare_names`), and yfinance's header of three
    lines (prices, tickers, the name of the time) as one. An address above the header, as
    CryptoDataDownload writes it, is passed over.

    Raises `DataError` with file and line for what is not a table of UTF-8 text with a header.
    """

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self.name = file.name
        self._header_rows = 1
        self.header_line, header = self._read_header()
        self._skipped = self.header_line
        bare = bare_names(header)
        if bare is not None:
            self._delimiter, self.names = bare
            self._header_rows -= 1
            self._skipped -= 1
            return
        self._delimiter = max(_DELIMITERS, key=lambda delimiter: _merit(_split(header, delimiter)))
        self.names = _split(header, self._delimiter)
        if {normal(self.names[0])} <= _YFINANCE:
            self._take_levels()
        if not known_names(self.names):
            raise DataError(_no_header(self.names), source=self.name, line=self.header_line)

    def _take_levels(self) -> None:
        """Make one line of names of a header of three, where it is one."""
        with self._file.text() as text:
            lines = [text.readline(_LONGEST_HEADER) for _ in range(self._skipped + 2)]
        levels = [_split(line, self._delimiter) for line in lines[-3:]]
        kinds = [normal(level[0]) if level else "" for level in levels]
        if {*kinds[:2]} != _YFINANCE or any(levels[2][1:]):
            return
        tickers = {*levels[kinds.index("ticker")][1:]}
        if len(tickers) > 1:
            shown = ", ".join(sorted(tickers)[:10])
            raise DataError(
                f"holds several tickers ({shown}) side by side: save a file of each, such as "
                "data.xs('AAPL', axis=1, level='Ticker').to_csv('AAPL.csv')",
                source=self.name,
                line=self.header_line,
            )
        self.names = [levels[2][0], *levels[kinds.index("price")][1:]]
        self._skipped += 2
        self._header_rows += 2

    def _read_header(self) -> tuple[int, str]:
        number = 0
        try:
            with self._file.text() as text:
                while line := text.readline(_LONGEST_HEADER):
                    number += 1
                    if _ADDRESS.fullmatch(line.strip()):
                        self._header_rows += 1
                    elif line.strip():
                        return number, line.strip("\r\n")
        except UnicodeDecodeError:
            raise self._not_utf8() from None
        except BROKEN_GZIP as error:
            raise self._broken_gzip(error) from None
        raise DataError("is empty: give a file with a header and rows of bars", source=self.name)

    def batches(self) -> Iterator[tuple[int, _Columns]]:
        """The number of rows before a batch, and its columns; blank lines are left out."""
        with self._file.text() as text:
            for _ in range(self._skipped):
                text.readline()
            try:
                yield from self._read(text)
            except UnicodeDecodeError:
                raise self._not_utf8() from None
            except BROKEN_GZIP as error:
                raise self._broken_gzip(error) from None

    def _read(self, text: TextIO) -> Iterator[tuple[int, _Columns]]:
        before = 0
        while lines := text.readlines(_BATCH_CHARACTERS):
            block = "".join(lines)
            if '"' in block:
                yield from self._read_quoted(chain(lines, text), before)
                return
            columns = self._split_block(block, lines)
            if columns is None:
                rows = [_split(line, self._delimiter) for line in lines]
                columns = self._columns(rows, before)
            if columns:
                yield before, columns
                before += len(columns[0])

    def _split_block(self, block: str, lines: list[str]) -> _Columns | None:
        """The columns of lines that all have the header's number of fields, else None."""
        delimiter, width = self._delimiter, len(self.names)
        if {*map(str.count, lines, repeat(delimiter))} != {width - 1}:
            return None
        if "\r" in block:
            block = block.replace("\r\n", "\n").replace("\r", "\n")
        fields = block.removesuffix("\n").replace("\n", delimiter).split(delimiter)
        return [fields[at::width] for at in range(width)]

    def _read_quoted(self, lines: Iterable[str], before: int) -> Iterator[tuple[int, _Columns]]:
        reader = csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True, strict=True)
        while True:
            try:
                rows = list(islice(reader, _BATCH_ROWS))
            except csv.Error as error:
                raise DataError(
                    f"cannot be read as CSV ({error}): look for a stray quotation mark",
                    source=self.name,
                    line=self.line(None),
                ) from None
            if not rows:
                return
            columns = self._columns(rows, before)
            if columns:
                yield before, columns
                before += len(columns[0])

    def _columns(self, rows: list[_Row], before: int) -> _Columns:
        """The columns of rows already split, without blank ones (none at all if all are blank)."""
        rows = [row for row in rows if not _is_blank(row)]
        width = len(self.names)
        for index, row in enumerate(rows):
            if len(row) == width:
                continue
            hint = (
                "is the line cut off?"
                if len(row) < width
                else "are there thousands separators or decimal commas?"
            )
            raise DataError(
                f"has {len(row)} fields where the header has {width}: {hint}",
                source=self.name,
                line=self.line(before + index),
            )
        return list(zip(*rows, strict=True))

    # -- where an error is: the file is read once more, slowly -----------------------------------

    def line(self, index: int | None) -> int:
        """The line on which row ``index`` ends; for None the one that `csv` cannot read."""
        wanted = -1 if index is None else index + self._header_rows  # a header is a row before
        with self._file.text() as text:
            reader = csv.reader(text, delimiter=self._delimiter, skipinitialspace=True, strict=True)
            try:
                for row in reader:
                    wanted -= not _is_blank(row)
                    if wanted == -1 and index is not None:
                        break
            except csv.Error:
                pass
            return reader.line_num

    def _not_utf8(self) -> DataError:
        number = 0
        with self._file.bytes() as lines:
            for line in lines:
                number += 1
                if not _is_utf8(line):
                    break
        return DataError("is not UTF-8 text: save the file as UTF-8", source=self.name, line=number)

    def _broken_gzip(self, error: Exception) -> DataError:
        number = 0
        with self._file.bytes() as lines:
            try:
                for _ in lines:
                    number += 1
            except BROKEN_GZIP:
                pass
        truncated = isinstance(error, EOFError)
        what = "ends in the middle (truncated)" if truncated else f"is damaged ({error})"
        return DataError(f"the gzip file {what}: fetch it again", source=self.name, line=number + 1)


def _split(line: str, delimiter: str) -> _Row:
    """The fields of one line; a quotation mark that is never closed is taken as it stands."""
    line = line.strip("\r\n")
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _merit(names: _Row) -> tuple[int, int]:
    return known_names(names), len(names)


def _is_blank(row: _Row) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


def _no_header(fields: _Row) -> str:
    shown = ", ".join(repr(field[:40]) for field in fields[:8])
    problem = (
        f"has no header: the first line is {shown}; put a line of column names before it, such as "
        "timestamp,open,high,low,close,volume"
    )
    if len(fields) in (3, 4):
        problem += "; of quotes timestamp,bid,ask; of trades timestamp,price,size"
    return problem
