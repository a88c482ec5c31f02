"""What all tests share: a quiet log, and an environment in which nobody ever pays."""

import logging
import os

import structlog

for name in [name for name in os.environ if name.startswith(("OPENAI_", "TAVILY_", "PRESSROOM_"))]:
    del os.environ[name]

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
