"""Every setting, parsed once at the start; import from here.

model        the settings as frozen values
loading      from the environment and `.env` to the values, or to a sentence for each wrong one
parsers      texts into values
relays       the relays as a setting
brand        how the pages look
metrics      who may read the metrics
weaknesses   what makes settings too weak
"""

from __future__ import annotations

from verifier.settings.loading import (
    SettingsError,
    known_names,
    load_redis_settings,
    load_settings,
    unknown_names,
)
from verifier.settings.metrics import MetricsSettings
from verifier.settings.model import MailSettings, RedisSettings, Settings
from verifier.settings.relays import MailRelay, Security
