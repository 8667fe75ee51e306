"""Run configuration: a YAML file, `key=value` overrides and a validated, frozen model of both.

    from rhopot.potentials.config import load_config, make_config
    config = load_config("soap_gap.yaml", ["data.train=my.xyz", "output=run1"])

Every error names the key at fault and the line of the file (or the override) it came from.
"""

from rhopot.potentials.config.document import ConfigError, Document, read_document
from rhopot.potentials.config.load import load_config, make_config
from rhopot.potentials.config.schema import RunConfig

__all__ = ["ConfigError", "Document", "RunConfig", "load_config", "make_config", "read_document"]
