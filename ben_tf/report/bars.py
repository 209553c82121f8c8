"""Bars of headline metrics: a chart for each metric, a bar for each run."""

from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf.evaluation import comparison
from ben_tf.evaluation import results
from ben_tf.plots import style
from ben_tf.plots import variants

# Ends of a scale for errors, of which the smallest that suffices is taken.
_LIMITS = (0.05, 0.1, 0.2, 0.5, 1.0)


def of_metrics(
    evaluations: Mapping[str, results.Evaluation],
    error_limit: float,
    synthetic: bool,
) -> dict[str, list[tuple[str, style.Picture]]]:
    """Draws a chart for each headline metric, a bar for each run.

    Args:
      evaluations: Run -> its scores.
      error_limit: Where the scale of errors ends; that of scores ends at 1.
      synthetic: As for `style.chart`.

    Returns:
      Heading -> charts on one scale, with what each says in words.
    """
    rows = {
        name: {
            row.name: (row.ours, row.interval)
            for row in comparison.headline_rows(
                evaluation, comparison.published_for(evaluation)
            )
        }
        for name, evaluation in evaluations.items()
    }
    charts: dict[str, list[tuple[str, style.Picture]]] = {}
    for metric, title in comparison.HEADLINES.items():
        is_error = metric in comparison.LOWER_IS_BETTER
        limit = error_limit if is_error else 1.0
        better = "Errors: lower" if is_error else "Scores: higher"
        values = {name: of_metric[metric] for name, of_metric in rows.items()}
        picture = variants.interval_bars(
            values,
            title=title,
            label=f"from 0 to {limit:g}",
            limit=limit,
            synthetic=synthetic,
        )
        charts.setdefault(f"{better} is better", []).append(
            (f"{title}: {_in_words(values)}.", picture)
        )
    return charts


def _in_words(
    values: Mapping[str, tuple[float | None, variants.Ends | None]],
) -> str:
    return "; ".join(
        f"{name} {comparison.number(value)}"
        + (f", 95 % {ends[0]:.4f} to {ends[1]:.4f}" if ends else "")
        for name, (value, ends) in values.items()
    )


def limit_of_errors(evaluations: Sequence[results.Evaluation]) -> float:
    """Where a scale ends that holds all errors, with their intervals."""
    values = [
        value
        for evaluation in evaluations
        for metric in comparison.HEADLINES
        if metric in comparison.LOWER_IS_BETTER
        for value in (
            evaluation.overall[metric],
            *getattr(evaluation.intervals_95, metric),
        )
        if value is not None
    ]
    largest = max(values, default=0.0)
    return next((limit for limit in _LIMITS if limit >= largest), 1.0)
