"""What all commands share leaves other programs of absl alone."""

from absl import flags

from ben_tf import command_line


def test_importing_defines_no_flag():
    assert command_line.__name__ not in flags.FLAGS.flags_by_module_dict()


def test_arguments_are_shown_as_flags_where_there_are_some(monkeypatch):
    parsed = flags.FlagValues()
    flags.DEFINE_integer("batch_size", 4, "", flag_values=parsed)
    monkeypatch.setattr(flags, "FLAGS", parsed)
    message = "Lower `batch_size` or set `batch_size=2`; see `ks`."
    assert command_line.with_flags(message) == (
        "Lower --batch_size or set --batch_size=2; see `ks`."
    )
