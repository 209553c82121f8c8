"""The sections of report.html: a run's files in, HTML out.

Whatever came from data (names, labels, configuration) is escaped here.
"""

import dataclasses
import html

from ben_tf.evaluation import comparison
from ben_tf.evaluation import paper
from ben_tf.report import html_parts

_MODALITY = {"S1": "Sentinel-1", "S2": "Sentinel-2", "MM": "Sentinel-1 and 2"}


@dataclasses.dataclass(frozen=True)
class Patch:
    """A patch to look at.

    Attributes:
      name: Its name.
      title: What is said above it.
      pictures: Caption -> PNG.
      labels: True class names.
      predicted: Predicted class name -> probability.
    """

    name: str
    title: str
    pictures: dict[str, bytes]
    labels: list[str]
    predicted: dict[str, float]


def header(result: dict, *, titles: dict[str, str]) -> str:
    """Title, navigation (anchor -> name) and the banner."""
    links = " ".join(
        f'<a href="#{html.escape(anchor)}">{html.escape(name)}</a>'
        for anchor, name in titles.items()
    )
    subtitle = (
        f"{len(result['class_names'])} classes, split {result['split']}, "
        f"{result['num_samples']:,} patches"
    )
    return (
        f"<h1>{html.escape(title(result))}</h1>"
        f'<p class="quiet">{html.escape(subtitle)}</p>'
        f"{banner([result])}<nav>{links}</nav>"
    )


def title(result: dict) -> str:
    """Model and sensors."""
    model = result["model"]
    return f"{model['name']} on {_MODALITY[model['modality']]}"


def banner(results: list[dict]) -> str:
    """Warns, where synthetic patches took part; else empty."""
    if not any(comparison.is_synthetic(result) for result in results):
        return ""
    return (
        '<div class="banner" role="note">Synthetic data. The patches were '
        "generated with a designed signal; these scores say nothing about "
        "BigEarthNet.</div>"
    )


def headlines(result: dict) -> str:
    """Cards with the headline metrics beside the paper's."""
    reasons = comparison.reasons(result)
    model = comparison.paper_model(result)
    note = (
        "<strong>Not comparable with the paper</strong>: "
        f"{html.escape(', '.join(reasons))}. Its figures are shown for "
        "orientation only."
        if reasons
        else "Same data, split and classes as in the paper."
    )
    cards = []
    for row in comparison.headline_rows(result):
        more = []
        if row.interval:
            more.append(f"95 %: {row.interval[0]:.3f} to {row.interval[1]:.3f}")
        if row.paper is not None:
            more.append(
                f"paper {row.paper:.4f}"
                + (
                    ""
                    if row.difference is None
                    else f" ({row.difference:+.4f})"
                )
            )
        lower = (
            " (lower is better)"
            if row.name in comparison.LOWER_IS_BETTER
            else ""
        )
        cards.append(
            '<div class="card"><div class="name">'
            f"{html.escape(comparison.HEADLINES[row.name] + lower)}</div>"
            f'<div class="value">{comparison.number(row.ours)}</div>'
            f'<div class="more">{"<br>".join(more)}</div></div>'
        )
    return (
        f'<p class="note">{note} Paper: {html.escape(model)}, '
        f"{html.escape(paper.SOURCE)}, Tables I and II.</p>"
        f'<div class="cards">{"".join(cards)}</div>'
        '<p class="quiet">Intervals: bootstrap over patches; they know nothing '
        "of the spread between training runs, and neighbouring patches are "
        "alike, so they are too narrow.</p>"
    )


def class_table(result: dict) -> str:
    """All scores of every class, sortable."""
    columns = {
        "class": result["class_names"],
        "patches": [int(n) for n in result["per_class"]["num_positives"]],
        "F2": result["per_class"]["f2"],
    }
    if len(result["class_names"]) == paper.NUM_CLASSES:
        columns["F2, paper"] = [
            paper.TABLE_1_FROM_SCRATCH.get(name, "")
            for name in result["class_names"]
        ]
    for name in ("precision", "recall", "f1"):
        columns[name.replace("f1", "F1")] = result["per_class"][name]
    columns["AP"] = result["per_class"]["average_precision"]
    if "tuned" in result:
        columns["threshold, tuned"] = result["tuned"]["thresholds"]
        columns["F1, tuned"] = result["tuned"]["per_class"]["f1"]
    return html_parts.table(
        list(columns),
        [list(row) for row in zip(*columns.values(), strict=True)],
        bars=("F2", "F2, paper"),
    )


def all_metrics(result: dict) -> str:
    """Every metric, and what was left out of which."""
    tuned = result.get("tuned")
    columns = ["metric", "at 0.5"] + (["tuned thresholds"] if tuned else [])
    rows = [
        [name, value] + ([tuned["overall"][name]] if tuned else [])
        for name, value in result["overall"].items()
    ]
    undefined = "".join(
        f"<li><code>{html.escape(name)}</code>: {num:,} "
        f"{'classes' if name.startswith('macro') else 'patches'}</li>"
        for name, num in result["undefined"].items()
    )
    if undefined:
        undefined = (
            "<p>Undefined values (0/0, such as the precision of a class that "
            "is never predicted) are left out of averages, not counted as 0:"
            f"</p><ul>{undefined}</ul>"
        )
    else:
        undefined = "<p>No average had to leave out an undefined value.</p>"
    return html_parts.table(columns, rows) + undefined


def groups(result: dict) -> str:
    """Scores by country, season and number of labels."""
    parts = []
    for kind, members in result["groups"].items():
        rows = [
            [name, scores["num_samples"], scores["sample_f2"]]
            + [scores[m] for m in ("sample_recall", "macro_f2", "one_error")]
            for name, scores in members.items()
        ]
        parts.append(
            f"<div><h3>By {html.escape(kind)}</h3>"
            + html_parts.table(
                [kind, "patches", "sample F2", "recall", "macro F2", "1-error"],
                rows,
                bars=("sample F2",),
            )
            + "</div>"
        )
    return f'<div class="side">{"".join(parts)}</div>'


def run_facts(result: dict, config: dict) -> str:
    """Model, data and configuration, with their fingerprints."""
    entries = {
        "model": f"{result['model']['name']} {result['model']['modality']}",
        "weights, SHA-256": result["model"]["fingerprint"],
        "trained on synthetic data": result["model"]["trained_on_synthetic"],
        "dataset": result["data"]["name"],
        "synthetic": result["data"]["synthetic"],
        "patches": ", ".join(
            f"{name} {num:,}"
            for name, num in result["data"]["split_sizes"].items()
        ),
        "names and labels scored, SHA-256": result["data"]["fingerprint"],
    }
    entries |= {f"--{name}": value for name, value in config.items()}
    return facts(entries)


def patch_groups(groups: dict[str, list[Patch]]) -> str:
    """Best, middling and worst patches with pictures and labels."""
    legend = (
        '<ul class="labels"><li class="hit">✓ true and predicted</li>'
        '<li class="missed">missed: true, not predicted</li>'
        '<li class="false">false: predicted, not true</li></ul>'
    )
    return (
        "<p>By F2 of the patch. Numbers are probabilities. Each picture is "
        "stretched between percentiles 2 and 98 of its own pixels.</p>"
        + legend
        + "".join(
            f'<h3>{html.escape(kind)}</h3><div class="patches">'
            + "".join(_patch(patch) for patch in chosen)
            + "</div>"
            for kind, chosen in groups.items()
        )
    )


def _patch(patch: Patch) -> str:
    pictures = "".join(
        html_parts.picture(content, f"{caption} of {patch.name}", caption)
        for caption, content in patch.pictures.items()
    )
    return (
        '<div class="patch"><div class="title">'
        f"{html.escape(patch.title)}</div>"
        f'<div class="quiet"><code>{html.escape(patch.name)}</code></div>'
        f'<div class="pictures">{pictures}</div>{_labels(patch)}</div>'
    )


def _labels(patch: Patch) -> str:
    """Chips of the true, missed and false labels."""
    items = [
        ("hit", f"✓ {name} {patch.predicted[name]:.2f}")
        if name in patch.predicted
        else ("missed", f"missed: {name}")
        for name in patch.labels
    ] + [
        ("false", f"false: {name} {probability:.2f}")
        for name, probability in patch.predicted.items()
        if name not in patch.labels
    ]
    return _chips(items)


def _chips(items: list[tuple[str, str]]) -> str:
    """(kind, text) pairs; kinds differ by line style as well as by colour."""
    chips = "".join(
        f'<li class="{kind}">{html.escape(text)}</li>' for kind, text in items
    )
    return f'<ul class="labels">{chips}</ul>'


def retrieval_row(query: Patch, hits: list[Patch]) -> str:
    """The query and what was found for it; shared labels are marked."""
    cells = []
    for patch in [query, *hits]:
        chips = [
            ("hit", f"✓ {name}")
            if patch is not query and name in query.labels
            else ("other", name)
            for name in patch.labels
        ]
        picture = next(iter(patch.pictures.values()))
        cells.append(
            "<div>"
            + html_parts.picture(picture, patch.name, patch.title)
            + _chips(chips)
            + "</div>"
        )
    return (
        "<p>The evaluated patch with most labels, and the patches whose "
        "features are nearest. ✓: a label that the query has too.</p>"
        f'<div class="look-alikes">{"".join(cells)}</div>'
    )


def facts(entries: dict) -> str:
    """A two-column table of configuration or fingerprints."""
    rows = "".join(
        f'<tr><th scope="row" style="font-weight: 500">{html.escape(str(name))}'
        f'</th><td style="text-align: left; white-space: normal">'
        f"<code>{html.escape(str(value))}</code></td></tr>"
        for name, value in entries.items()
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def footer() -> str:
    """Where definitions come from."""
    return (
        f"<p>Metrics as the paper's authors define them: "
        f"{html.escape(paper.SOURCE)}; docstrings of ben_tf/metrics.py. "
        f"{html.escape(paper.NOT_IN_THE_PAPER)}</p>"
    )
