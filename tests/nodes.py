"""On how many NATS servers the tests run that can do with either: `PRESSROOM_TEST_NODES=3 ./run test tests/chassis`."""

import os

VARIABLE = "PRESSROOM_TEST_NODES"

NODES = int(os.environ.get(VARIABLE) or 1)
