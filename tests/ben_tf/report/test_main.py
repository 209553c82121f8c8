"""One flag chooses the page; flags of another page are not passed over."""

import pytest

from tests import in_process
from tests.ben_tf.evaluation import made_runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Received: none of them"),
        (
            ("--workdir=a", "--runs=a,b"),
            "Received: --workdir, --runs",
        ),
        (
            ("--workdir=a", "--reference=b"),
            "--reference goes with --runs only. Leave it out with --workdir.",
        ),
        (
            ("--runs=a,b", "--index=c"),
            "--index goes with --workdir only. Leave it out with --runs.",
        ),
        (
            ("--runs_dir=a", "--data_dir=c"),
            "--data_dir goes with --workdir only. Leave it out with --runs_d",
        ),
        (("--runs_dir=absent",), "No folder absent."),
        (("--runs=a,b", "--reference=c"), "--reference is none of the runs"),
    ],
)
def test_flags_that_do_not_go_together(arguments, message, tmp_path):
    finished = in_process.run("ben_tf.report", *arguments, cwd=tmp_path)
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_pages_of_several_runs(tmp_path):
    for name in ("a", "b"):
        made_runs.write(tmp_path / name)
    listed = in_process.run("ben_tf.report", f"--runs_dir={tmp_path}")
    assert listed.returncode == 0
    assert f"The report is {tmp_path / 'runs.html'}" in listed.stdout
    compared = in_process.run(
        "ben_tf.report",
        f"--runs={tmp_path / 'a'},{tmp_path / 'b'}",
        f"--reference={tmp_path / 'b'}",
        f"--output={tmp_path / 'page.html'}",
    )
    assert compared.returncode == 0
    assert "a minus b" in (tmp_path / "page.html").read_text("utf-8")
