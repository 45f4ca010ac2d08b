"""Find plugins, keep a broken one from costing anybody else, and call their hooks.

pluggy's own loader stops at the first plugin that cannot be imported, and drops the second of two
equal names without a word; so plugins are loaded here, one by one.
Nothing but this module touches ``pm.hook``.
"""

from infometis_sdk._plugins.facade import Plugins
from infometis_sdk._plugins.records import DISABLE, PluginInfo, PluginProblem

__all__ = ("DISABLE", "PluginInfo", "PluginProblem", "Plugins")
