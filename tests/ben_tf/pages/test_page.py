"""Pages hold what they need, allow nothing else and escape all text."""

import base64
import hashlib
import pathlib
import re

import jinja2
import pytest

from ben_tf.pages import page

FOLDER = pathlib.Path(page.__file__).parent
ATTACK = '"><script>alert(1)</script>'


class _Kind(str):
    synthetic = True


def _tables(table: page.Table) -> str:
    """A whole page with the table in it."""
    return page.render(
        "runs",
        folder=ATTACK,
        split=ATTACK,
        num_runs=1,
        all_synthetic=True,
        why_apart=[ATTACK],
        sections={_Kind(ATTACK): (ATTACK, table)},
        differ_in_patches=[],
        damaged=page.Table([], []),
    )


def test_policy_names_style_and_script_by_their_hashes():
    text = _tables(page.Table([], []))
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)[1]
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest())
        assert f"{kind}-src 'sha256-{digest.decode()}'" in policy


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jinja")))
def test_templates_have_no_style_and_no_handler_of_their_own(path):
    # The policy would refuse them.
    assert not re.search(r'\s(style|on\w+)="', path.read_text())


@pytest.mark.parametrize("name", ["page.css", "page.js"])
def test_style_and_script_cannot_end_their_element(name):
    assert "</" not in (FOLDER / name).read_text()


def test_cells_are_shown_by_their_type():
    text = _tables(
        page.Table(
            ["name", "share", "plain"],
            [["a", 0.25, 1234], [ATTACK, None, ""], ["c", 1.0, 2.0]],
            bars=("share",),
        )
    )
    assert '<td data-key="a">a</td>' in text
    assert '<td data-key="1234">1,234</td>' in text
    assert '<td class="undefined">undefined</td><td></td>' in text
    assert '<rect width="25.0%" height="100%"/>' in text
    assert ">0.2500</span>" in text
    assert text.count("<rect") == 2
    assert '<td data-key="2.0"><span>2.0000</span></td>' in text
    assert "<script>alert" not in text


def test_an_estimate_has_a_bar_and_an_interval():
    text = _tables(
        page.Table(
            ["a", "b"],
            [
                [page.Estimate(0.94, (0.5, 0.98)), page.Estimate(0.74)],
                [page.Estimate(None), ""],
            ],
        )
    )
    assert '<td data-key="0.94" class="bar">' in text
    assert '<rect width="94.0%" height="100%"/>' in text
    assert 'x1="50.0%"' in text
    assert 'x2="98.0%"' in text
    assert "0.9400 <small>0.50 to 0.98</small>" in text
    assert '<rect width="74.0%" height="100%"/></svg>' in text
    assert '<td class="undefined">undefined</td>' in text
    # Shares of a width that does not depend on the column's.
    style = (FOLDER / "page.css").read_text()
    (rule,) = re.findall(r"td\.bar svg \{([^}]*)\}", style)
    assert re.search(r"\bwidth: [\d.]+rem;", rule)


def test_texts_have_keys_and_links_of_their_own():
    text = _tables(
        page.Table(
            ["a", "b"],
            [
                [page.Text("1 h", 3600), page.Text("x", link="%22x/report")],
                [page.Text(ATTACK, ATTACK, ATTACK), ATTACK],
            ],
            texts=("b",),
        )
    )
    assert '<td data-key="3600">1 h</td>' in text
    assert '<td class="text"><a href="%22x/report">x</a></td>' in text
    assert '<th scope="col" class="text">' in text
    assert "<script>alert" not in text


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="num_runs"):
        page.render("comparison")
