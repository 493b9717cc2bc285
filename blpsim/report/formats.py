"""A table as plain text, markdown, HTML, or LaTeX with booktabs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from types import MappingProxyType

from blpsim.report.grid import Grid, Line

_LONGEST_ON_A_PAGE, _MOST_COLUMNS = 24, 8
_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": r"\textbar{}", "±": r"$\pm$"},
}


def plain(grid: Grid) -> str:
    """Return a table as text, errors beside numbers."""
    rows = [[*line.labels, *map(str, line.cells)] for line in _thinned(grid.lines)]
    tops = [[*_above(grid, level), *heads] for level, heads in enumerate(_thinned_heads(grid.heads))]
    widths = [max(map(len, column)) for column in zip(*tops, *rows, strict=True)]
    labels = len(grid.labels)

    def said(cells: Sequence[str]) -> str:
        sides = [cell.ljust(width) for cell, width in zip(cells[:labels], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(cells[labels:], widths[labels:], strict=True)]
        return "  ".join([*sides, *numbers]).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [grid.title, rule, *map(said, tops), rule, *map(said, rows), rule, *grid.notes]
    return "\n".join(lines) + "\n"


def markdown(grid: Grid) -> str:
    """Return a table as markdown, errors beside numbers; levels of heads are joined."""
    heads = [" / ".join(levels) for levels in zip(*grid.heads, strict=True)]
    lines = [f"**{_piped(grid.title)}**", "", _row([*grid.labels, *heads])]
    lines.append(f"| {' | '.join(['---'] * len(grid.labels) + ['---:'] * len(heads))} |")
    lines += [_row([*line.labels, *map(str, line.cells)]) for line in grid.lines]
    return "\n".join([*lines, "", *(f"- {note}" for note in grid.notes)]) + "\n"


def html(grid: Grid) -> str:
    """Return a table as HTML without any style: heads have scopes, numbers ``data-value`` to sort by."""
    head = [f"<tr>{_html_labels(grid, level)}{_html_heads(heads)}</tr>" for level, heads in _levels(grid)]
    body = [
        "<tr>"
        + "".join(f'<th scope="row">{escape(label)}</th>' for label in line.labels)
        + "".join(_html_cell(cell.number, cell.error) for cell in line.cells)
        + "</tr>"
        for line in grid.lines
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in grid.notes)
    return "\n".join(
        [
            f"<table>\n<caption>{escape(grid.title)}</caption>\n<thead>",
            *[*head, "</thead>\n<tbody>", *body, "</tbody>\n</table>"],
            *([f"<ul>{notes}</ul>"] if notes else []),
            "",
        ]
    )


def latex(grid: Grid) -> str:
    """Return a table in LaTeX, for the packages booktabs and, where it is long, longtable.

    Errors stand below their numbers in parentheses, notes below the table.
    """
    is_long = len(grid.lines) > _LONGEST_ON_A_PAGE
    columns = "l" * len(grid.labels) + "r" * len(grid.heads[-1])
    caption = rf"\caption{{{_tex(grid.title)}}}"
    top = [r"\toprule", *_tex_heads(grid), r"\midrule"]
    body = list(_tex_body(grid))
    notes = rf"\footnotesize Notes: {'. '.join(_tex(note[:1].upper() + note[1:]) for note in grid.notes)}."
    if is_long:
        lines = [rf"\begin{{longtable}}{{{columns}}}", rf"{caption}\\", *top, r"\endfirsthead"]
        lines += [*top, r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}"]
        lines += [rf"\begingroup{notes}\par\endgroup"]
    else:
        narrow = [r"\footnotesize\setlength{\tabcolsep}{3pt}"] if len(columns) > _MOST_COLUMNS else []
        lines = [r"\begin{table}[htbp]", r"\centering", caption, *narrow]
        lines += [rf"\begin{{tabular}}{{{columns}}}", *top]
        lines += [*body, r"\bottomrule", r"\end{tabular}", r"\par\medskip"]
        lines += [rf"\begin{{minipage}}{{\linewidth}}{notes}\end{{minipage}}", r"\end{table}"]
    packages = "booktabs, longtable" if is_long else "booktabs"
    return "\n".join([rf"% needs \usepackage{{{packages.replace(' ', '')}}}", *lines]) + "\n"


WRITERS: Mapping[str, Callable[[Grid], str]] = MappingProxyType(
    {"text": plain, "markdown": markdown, "html": html, "latex": latex}
)
"""Formats by name."""


def _thinned(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield lines without the labels that they share with the line before."""
    before: tuple[str, ...] = ()
    for line in lines:
        same = 0
        while same < len(line.labels) - 1 and line.labels[: same + 1] == before[: same + 1]:
            same += 1
        yield Line(("",) * same + line.labels[same:], line.cells)
        before = line.labels


def _thinned_heads(heads: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for level in heads[:-1]:
        yield [name if place == 0 or level[place - 1] != name else "" for place, name in enumerate(level)]
    yield list(heads[-1])


def _above(grid: Grid, level: int) -> Sequence[str]:
    """Return the heads of label columns, which stand on the innermost level."""
    return grid.labels if level == len(grid.heads) - 1 else ("",) * len(grid.labels)


def _levels(grid: Grid) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """Yield levels of heads with how many columns each head spans."""
    for level, heads in enumerate(grid.heads):
        if level == len(grid.heads) - 1:
            yield level, [(name, 1) for name in heads]
        else:
            outer = zip(*grid.heads[: level + 1], strict=True)
            yield level, [(names[-1], len(list(same))) for names, same in groupby(outer)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_piped, cells))} |"


def _piped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _html_labels(grid: Grid, level: int) -> str:
    return "".join(f'<th scope="col">{escape(label)}</th>' for label in _above(grid, level))


def _html_heads(heads: Sequence[tuple[str, int]]) -> str:
    cells = []
    for name, span in heads:
        scope = f'scope="colgroup" colspan="{span}"' if span > 1 else 'scope="col"'
        cells.append(f'<th class="number" {scope}>{escape(name)}</th>')
    return "".join(cells)


def _html_cell(number: str, error: str) -> str:
    value = f' data-value="{number}"' if re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", number) else ""
    return f"<td{value}>{escape(number)}{f' <small>{escape(error)}</small>' if error else ''}</td>"


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _tex_label(label: str) -> str:
    return _tex(label).replace("-", "$-$", 1) if re.fullmatch(r"~?-[\d.e+-]+", label) else _tex(label)


def _tex_number(number: str) -> str:
    """Return a number whose last digit stands above its error's."""
    if number in ("", "-"):
        return "--" if number else ""
    return rf"{_tex(number).replace('-', '$-$')}\phantom{{)}}"


def _tex_heads(grid: Grid) -> Iterator[str]:
    for level, heads in _levels(grid):
        labels = [_tex(label) for label in _above(grid, level)]
        cells = [
            rf"\multicolumn{{{span}}}{{{'c' if span > 1 else 'r'}}}{{{_tex(name)}}}" for name, span in heads
        ]
        yield " & ".join([*labels, *cells]) + r" \\"
        if level < len(grid.heads) - 1:
            yield "".join(_rules(len(labels), heads))


def _rules(labels: int, heads: Sequence[tuple[str, int]]) -> Iterator[str]:
    first = labels + 1
    for _, span in heads:
        yield rf"\cmidrule(lr){{{first}-{first + span - 1}}}"
        first += span


def _tex_body(grid: Grid) -> Iterator[str]:
    for place, (line, thin) in enumerate(zip(grid.lines, _thinned(grid.lines), strict=True)):
        if place and len(line.labels) > 1 and thin.labels[0]:
            yield r"\addlinespace"
        labels = [f"{{{_tex_label(label)}}}" if label else "" for label in thin.labels]
        errors = [_tex(cell.error) for cell in line.cells]
        end = r" \\*" if any(errors) else r" \\"
        yield " & ".join([*labels, *(_tex_number(cell.number) for cell in line.cells)]) + end
        if any(errors):
            yield " & ".join([*[""] * len(labels), *errors]) + r" \\"
