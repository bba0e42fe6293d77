"""The option that loads the plugin of pytest: none where the project is installed."""

from importlib.metadata import entry_points

PLUGIN = (
    ()
    if any(each.name == "stress" for each in entry_points(group="pytest11"))
    else ("-p", "stress.pytest_plugin")
)
