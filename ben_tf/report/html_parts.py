"""Style and script of report.html, and the frame that holds a page together.

Standard library only. The page loads nothing: its content security policy
allows images in the page itself, its own style and the one script below.
"""

import base64
import hashlib
import html
from collections.abc import Container

STYLE = """
:root { --ink: #1f2937; --quiet: #6b7280; --line: #e5e7eb; --blue: #0072b2;
  --orange: #b45309; --green: #047857; --paper: #ffffff; --tint: #f9fafb; }
* { box-sizing: border-box; }
html { color-scheme: light; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Liberation Sans", Arial, sans-serif; }
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.4rem); line-height: 1.15; margin: 0;
  letter-spacing: -0.02em; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.4rem; letter-spacing: -0.01em;
  padding-top: 1.2rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0.4rem; }
p { margin: 0.4rem 0 0.9rem; max-width: 46rem; }
a { color: var(--blue); }
nav { margin: 1rem 0 0; font-size: 0.92rem; }
nav a { margin-right: 1.1rem; white-space: nowrap; text-decoration: none; }
nav a:hover { text-decoration: underline; }
.quiet { color: var(--quiet); }
.banner { margin: 1.4rem 0 0; padding: 0.9rem 1.1rem; border: 2px solid
  #b45309; border-radius: 8px; background: repeating-linear-gradient(-45deg,
  #fffbeb 0 14px, #fef3c7 14px 28px); font-weight: 600; }
.note { border-left: 4px solid #d1d5db; padding: 0.3rem 0.9rem;
  background: var(--tint); max-width: 46rem; }
.cards { display: grid; gap: 0.8rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); }
.card { border: 1px solid var(--line); border-radius: 8px;
  padding: 0.75rem 0.9rem; background: var(--paper); }
.card .name { font-size: 0.85rem; color: var(--quiet); }
.card .value { font-size: 1.7rem; font-weight: 650; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.card .more { font-size: 0.8rem; color: var(--quiet);
  font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; } .wide img { min-width: 40rem; }
figcaption { font-size: 0.85rem; color: var(--quiet); max-width: 46rem; }
.side { display: grid; gap: 1rem 2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; font-size: 0.86rem; width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.32rem 0.5rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0;
  white-space: normal; min-width: 10rem; }
.side td:first-child, .side th:first-child { min-width: 5rem; }
thead th { border-bottom: 2px solid #9ca3af; vertical-align: bottom;
  white-space: normal; }
tbody tr:hover { background: var(--tint); }
th button { font: inherit; font-weight: 650; color: inherit; border: 0;
  padding: 0; background: none; cursor: pointer; text-align: inherit; }
th button::after { content: "\\a0\\2195"; color: #9ca3af; }
th[aria-sort=ascending] button::after { content: "\\a0\\2191";
  color: var(--ink); }
th[aria-sort=descending] button::after { content: "\\a0\\2193";
  color: var(--ink); }
td.bar { background: linear-gradient(to right, #cfe3f1 var(--share),
  transparent var(--share)); }
.undefined { color: var(--quiet); font-style: italic; }
.patch { border: 1px solid var(--line); border-radius: 8px; padding:
  0.8rem 0.9rem; break-inside: avoid; }
.patch .title { font-weight: 600; overflow-wrap: anywhere;
  font-size: 0.92rem; }
.patches { display: grid; gap: 0.9rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.pictures { display: grid; gap: 0.5rem; margin: 0.6rem 0;
  grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)); }
.look-alikes { display: grid; gap: 1rem 0.7rem; margin: 0.8rem 0;
  grid-template-columns: repeat(auto-fill, minmax(8.4rem, 1fr)); }
.look-alikes figure { margin: 0; } .look-alikes img { width: 100%;
  image-rendering: pixelated; border-radius: 4px; }
.pictures figure { margin: 0; }
.pictures img { width: 100%; image-rendering: pixelated; border-radius: 4px; }
.pictures figcaption { font-size: 0.74rem; line-height: 1.3; }
.labels { list-style: none; display: flex; flex-wrap: wrap; gap: 0.35rem;
  margin: 0.4rem 0 0; padding: 0; font-size: 0.8rem; }
.labels li { border: 1.5px solid; border-radius: 0.8rem; padding: 0.02rem
  0.6rem; line-height: 1.35; }
.hit { color: var(--green); border-color: #34d399 !important; }
.missed { color: var(--orange); border-style: dashed !important; }
.false { color: #9d174d; border-style: dotted !important; }
.other { color: var(--quiet); border-color: var(--line) !important; }
code { font-size: 0.85em; overflow-wrap: anywhere; }
footer { padding-top: 1.5rem; padding-bottom: 3rem; font-size: 0.85rem;
  color: var(--quiet); }
@media print {
  body { font-size: 10.5pt; } nav { display: none; }
  h2 { margin-top: 1.6rem; break-after: avoid; } h3 { break-after: avoid; }
  figure, .card, tr { break-inside: avoid; } .scroll,
  .wide { overflow: visible; } .wide img { min-width: 0; }
  th button::after { content: ""; }
  .banner, td.bar { print-color-adjust: exact; }
}
"""

# Sorts a table by the column whose heading is pressed. Cells carry their sort
# key in data-key; undefined values have none and stay at the end.
SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = head.cellIndex;
    const body = head.closest("table").tBodies[0];
    const descending = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.cells)
      other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.key;
    const compare = (a, b) => {
      if (key(a) === undefined || key(b) === undefined)
        return (key(a) === undefined) - (key(b) === undefined);
      const [x, y] = [Number(key(a)), Number(key(b))];
      const order = Number.isNaN(x) || Number.isNaN(y)
        ? key(a).localeCompare(key(b)) : x - y;
      return descending ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
"""


def page(title: str, *, header: str, main: str, footer: str) -> str:
    """Puts HTML parts together to a document.

    Args:
      title: Plain text.
      header: HTML, already escaped.
      main: HTML, already escaped.
      footer: HTML, already escaped.
    """
    digest = hashlib.sha256(SCRIPT.encode()).digest()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(digest).decode()}'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
{header}
</header>
<main>
{main}
</main>
<footer>
{footer}
</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def picture(
    content: bytes, alt: str, caption: str = "", *, is_wide: bool = False
) -> str:
    """An image in the page itself; SVG or PNG by its first bytes.

    Args:
      content: File of the image.
      alt: Plain text for who cannot see it.
      caption: Plain text below it.
      is_wide: Whether to scroll it on a phone rather than to shrink it.
    """
    kind = "png" if content.startswith(b"\x89PNG") else "svg+xml"
    encoded = base64.b64encode(content).decode()
    text = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    wide = ' class="wide"' if is_wide else ""
    return (
        f'<figure><div{wide}><img alt="{html.escape(alt)}" '
        f'src="data:image/{kind};base64,{encoded}"></div>{text}</figure>'
    )


def table(
    columns: list[str],
    rows: list[list],
    *,
    bars: Container[str] = (),
    sort: bool = True,
) -> str:
    """A table; numbers to four digits, None as "undefined", text escaped.

    Args:
      columns: Headings.
      rows: Cells: str, int, float or None. "" is an empty cell.
      bars: Headings of the columns whose cells show a bar from 0 to 1.
      sort: Whether pressing a heading sorts.
    """
    heads = "".join(
        f'<th scope="col"><button type="button">{html.escape(name)}</button>'
        "</th>"
        if sort
        else f'<th scope="col">{html.escape(name)}</th>'
        for name in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            _cell(value, has_bar=name in bars)
            for name, value in zip(columns, row, strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: str | float | None, *, has_bar: bool) -> str:
    if value is None:
        return '<td class="undefined">undefined</td>'
    if value == "":
        return "<td></td>"
    if isinstance(value, str):
        text = html.escape(value)
        return f'<td data-key="{text}">{text}</td>'
    if isinstance(value, int):
        return f'<td data-key="{value}">{value:,}</td>'
    style = f' class="bar" style="--share: {value:.1%}"' if has_bar else ""
    return f'<td data-key="{value!r}"{style}>{value:.4f}</td>'
