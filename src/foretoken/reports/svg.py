"""Figures as inline SVG that take their colours from the page, so that dark mode and print reach every curve.

matplotlib draws with placeholder colours; on the way out each becomes a CSS variable of page.css (`var(--ink)`) or, for
a compute budget, of the block that `palette.budget_styles` writes (`var(--budget-3)`). Equal input gives equal bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from foretoken.escapes import for_terminal
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import power
from foretoken.units import LARGEST_NAMED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLES = ("ink", "muted", "rule", "shade", "band", "band-deep", "accent", "paper")
# matplotlib checks colours, so it cannot be given `var(--ink)`: each role draws in a hex code that no page uses.
INK, MUTED, RULE, SHADE, BAND, BAND_DEEP, ACCENT, PAPER = (f"#0101{i:02x}" for i in range(len(ROLES)))
PHONE = 380
"""Width of a drawing for a phone, in CSS pixels: 390 less the page's margin."""

TICK_PIXELS = 42
"""Room for one label of a log axis; where there is less, every second or third tick has one."""

FINER = ((1, 1.5, 2, 3, 4, 5, 7), tuple(k / 10 for k in range(10, 100)))
"""Mantissas of the ticks of an axis that is too short for two of 1, 2 and 5."""

RC: dict[str, Any] = {
    # Text stays text: it can be searched and read aloud, and the page's fonts reach it.
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    # A name with two dollar signs is a name, not mathematics.
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "lines.solid_capstyle": "round",
}


def drawing(
    name: str, size: tuple[int, int], draw: Callable[[Axes], None], *, title: str, described: str, class_: str = ""
) -> Html:
    """One panel as an SVG of `size` CSS pixels, with its title and description for those who do not see it."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # matplotlib derives ids from this salt: the same name gives the same bytes, another name gives other ids.
    settings: Any = {**RC, "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        # matplotlib counts 72 points to the inch, so that its sizes of type and lines become CSS pixels.
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        file = io.StringIO()
        # `savefig` would draw twice, once to measure; here the layout measures what it needs.
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return _inline(file.getvalue(), name, size, element("title", title) + element("desc", described), class_)


def responsive(
    key: str,
    draw: Callable[..., None],
    *,
    title: str,
    described: str,
    wide: tuple[int, int] = (760, 340),
    narrow: int = 320,
) -> list[Html]:
    """A panel drawn for a wide page and again for a phone; the page's style shows the one that fits.

    Args:
        key: id of the figure, with which the names of both drawings begin.
        draw: draws on the axes it is given.
        title: of both drawings.
        described: what they show, for those who do not see them.
        wide: width and height for a wide page, in CSS pixels.
        narrow: height for a phone.

    """
    sizes = {"wide": wide, "narrow": (PHONE, narrow)}
    return [
        drawing(f"{key}-{screen}", size, draw, title=title, described=described, class_=screen)
        for screen, size in sizes.items()
    ]


def _inline(svg: str, name: str, size: tuple[int, int], texts: str, class_: str) -> Html:
    """The body of matplotlib's file, without what a page does not need, and with variables for placeholders."""
    body = svg[svg.index("</style>") : svg.rindex("</svg>")].partition("</defs>")[2]
    # Ids such as `line2d_12` repeat from one figure to the next, and a page must not have an id twice.
    body = re.sub(r' id="[\w.]+_\d+"| transform="rotate\(-0 [^"]*"', "", body)
    body = body.replace(" font-family: 'DejaVu Sans';", "")
    body = re.sub(r"#0101([0-9a-f]{2})", lambda hit: f"var(--{ROLES[int(hit[1], 16)]})", body)
    body = re.sub(r"#0102([0-9a-f]{2})", lambda hit: f"var(--budget-{int(hit[1], 16)})", body)
    # Two decimals of a pixel are enough; only inside tags, so that no number in a text is cut.
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = for_terminal(re.sub(r"\s*\n\s*", "\n", body))
    body = re.sub(r"<g([^>]*)>\n((?:<use [^>]*/>\n)+)</g>", _with_one_style, body)
    opened = f'<svg viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}" role="img"'
    labels = f' aria-labelledby="{name}-title"' + (f' class="{class_}"' if class_ else "")
    texts = texts.replace("<title>", f'<title id="{name}-title">')
    return Html(f"{opened}{labels}>{texts}{body}</svg>")


def _with_one_style(marks: re.Match[str]) -> str:
    """Marks that all look the same say so once, on the group around them."""
    styles = set(re.findall(r' style="([^"]*)"', marks[2]))
    if len(styles) != 1 or "style=" in marks[1]:
        return marks[0]
    return f'<g{marks[1]} style="{styles.pop()}">\n' + re.sub(r' style="[^"]*"', "", marks[2]) + "</g>"


def log_ticks(low: float, high: float, most: int = 0) -> tuple[list[float], list[float]]:
    """Ticks with and without a label on a log axis: decades, and 2 and 5 (labelled on a short axis).

    `most` is how many labels have room: on an axis of two decades or fewer 2 and 5 are labelled where they fit.

    >>> log_ticks(1e10, 1e14)[0]
    [10000000000.0, 100000000000.0, 1000000000000.0, 10000000000000.0, 100000000000000.0]
    >>> log_ticks(3e9, 2e11)[0], log_ticks(3e10, 2e12, most=9)[0][:3]
    ([10000000000.0, 100000000000.0], [50000000000.0, 100000000000.0, 200000000000.0])
    """
    inside = _multiples(low, high, (1, 2, 5))
    if len(inside) < 2:
        # 2.2k to 4.8k holds no 1, 2 or 5: an axis without a label says nothing.
        finer = (_multiples(low, high, mantissas) for mantissas in FINER)
        return [value for _, value in next((ticks for ticks in finer if len(ticks) > 1), inside)], []
    decades = [value for m, value in inside if m == 1]
    others = [value for m, value in inside if m != 1]
    # An axis of less than two decades may hold a single power of ten; 2 and 5 are labelled too then, and where all of
    # them have room.
    short = len(decades) < 2 or math.log10(high / low) < 1.6 or (len(decades) < 3 and len(inside) <= most)
    return (sorted(decades + others), []) if short else (decades, others)


def _multiples(low: float, high: float, mantissas: Sequence[float]) -> list[tuple[float, float]]:
    """Mantissa and value of each m 10^k between two bounds, in order."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [(m, m * 10.0**k) for k in exponents for m in mantissas if low <= m * 10.0**k <= high]


def log_axis(axes: Axes, which: str, low: float, high: float, write: Callable[[float], str]) -> None:
    """Make the axis `x` or `y` logarithmic between two bounds, its ticks written by `write`."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    width, height = figure_size(axes)
    # 80 and 60 pixels are the other axis and the margins; a label takes as much room as the longest, 2·10²¹.
    labelled, bare = log_ticks(low, high, int((width - 80) / 60 if which == "x" else (height - 60) / 30))
    if which == "x":
        every = max(1, math.ceil(len(labelled) * TICK_PIXELS / width))
        bare, labelled = bare + [tick for tick in labelled if tick not in labelled[::every]], labelled[::every]
    axis.set_major_locator(FixedLocator(labelled))
    axis.set_minor_locator(FixedLocator(bare))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def figure_size(axes: Axes) -> tuple[float, float]:
    """Width and height of the whole drawing in CSS pixels: matplotlib counts 72 to the inch."""
    width, height = axes.figure.get_size_inches()  # type: ignore[union-attr]
    return 72 * float(width), 72 * float(height)


def write_label(
    axes: Axes,
    words: str,
    at: tuple[float, float],
    shift: tuple[float, float] = (0, 0),
    *,
    colour: str = INK,
    size: float = 11,
    ha: str = "left",
    va: str = "center",
    above: bool = False,
) -> None:
    """Words at a point of the data, `shift` pixels to its right and above; with `above`, y is a share of the axes."""
    y_is = "axes fraction" if above else "data"
    axes.annotate(
        words,
        at,
        shift,
        xycoords=("data", y_is),
        textcoords="offset points",
        color=colour,
        fontsize=size,
        ha=ha,
        va=va,
        zorder=6,
    )


def is_wide(axes: Axes) -> bool:
    """Whether the drawing is for a wide page, and not for a phone."""
    return figure_size(axes)[0] > PHONE


def short_power(value: float) -> str:
    """A tick of a compute axis: 10¹⁸, 2·10¹⁸, 1.5·10¹⁸."""
    return power(value, 1)


def short_count(value: float) -> str:
    """A tick of a count axis: 100k, 1M; beyond what a suffix names a power of ten.

    >>> short_count(2e5), short_count(1.5e6), short_count(50), short_count(1e18)
    ('200k', '1.5M', '50', '1e18')
    """
    if value >= LARGEST_NAMED:
        return f"{value:g}".replace("e+", "e")
    for suffix, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"


def padded(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    """Bounds of a log axis with a margin on both sides: `share` of its length, and 15 % of a value at least."""
    low, high = min(values), max(values)
    margin = max((high / low) ** share, 1.15)
    return low / margin, high * margin


def apart(heights: list[float], gap: float) -> list[float]:
    """Heights of labels moved as little as needed to be `gap` apart, in the order given.

    >>> apart([1.0, 1.0, 5.0], 1.0)
    [0.5, 1.5, 5.0]
    """
    # Pool adjacent violators: labels that would overlap form a cluster, evenly spaced about the mean of the heights
    # they want, which is the move of least squares; a cluster that now touches the one below takes it in.
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    clusters: list[tuple[float, list[int]]] = []
    for i in order:
        middle, members = heights[i], [i]
        while clusters and middle - clusters[-1][0] < gap * (len(members) + len(clusters[-1][1])) / 2:
            below_middle, below = clusters.pop()
            total = len(below) + len(members)
            middle = (below_middle * len(below) + middle * len(members)) / total
            members = below + members
        clusters.append((middle, members))
    moved = list(heights)
    for middle, members in clusters:
        for rank, i in enumerate(members):
            moved[i] = middle + gap * (rank - (len(members) - 1) / 2)
    return moved
