"""The flags of a command, defined without running it."""

import functools
import importlib
import importlib.util

from absl import flags


@functools.cache
def of(command: str) -> flags.FlagValues:
    """The flags of a command such as "ben_tf.retrieval build".

    They are moved out of absl's global ones, where other tests would meet them.
    """
    module_name, _, function = command.partition(" ")
    if importlib.util.find_spec(module_name).submodule_search_locations:
        module_name += ".__main__"
    module = importlib.import_module(module_name)
    before = set(flags.FLAGS)
    getattr(module, function or "command")()
    found = flags.FlagValues()
    for name in set(flags.FLAGS) - before:
        found[name] = flags.FLAGS[name]
        delattr(flags.FLAGS, name)
    flags.DEFINE_string("flagfile", "", "", flag_values=found)
    return found
