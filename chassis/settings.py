"""The settings: what may be set from outside, with its default and its bounds. `.env.example` documents each one.

Keys keep the names that their own SDKs gave them; all others begin with PRESSROOM_. A wrong one names itself at start.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.prices import PricesUnusable, load_prices

Seconds = Annotated[float, Field(gt=0, le=3600)]

GIB = 1024**3


def _usable(prices: Path) -> Path:
    """The file itself, once it has been read: a wrong one is to be found at start, not when the first call is paid."""
    try:
        load_prices(prices)
    except PricesUnusable as wrong:
        raise PydanticCustomError("prices", "{why}", {"why": str(wrong)}) from wrong
    return prices


class Settings(BaseSettings):
    """The settings of one process, read from its environment. Field `nats_url` is PRESSROOM_NATS_URL, and so on."""

    model_config = SettingsConfigDict(env_prefix="PRESSROOM_", extra="ignore", frozen=True, env_ignore_empty=True)

    # the log
    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: SecretStr = SecretStr("")
    log_bytes_max: Annotated[int, Field(ge=10 * 1024**2)] = 4 * GIB
    log_replicas: Annotated[Literal[1, 3, 5], BeforeValidator(int)] = 1  # a variable's value is a text
    ack_wait_s: Annotated[float, Field(ge=2, le=600)] = 5.0

    # the read tables
    postgres_url: SecretStr = SecretStr("postgresql://127.0.0.1:5432/pressroom")

    # the object store
    s3_endpoint: str = "127.0.0.1:9000"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "pressroom"
    s3_secure: bool = False

    # the model
    openai_api_key: SecretStr = Field(SecretStr(""), validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    tavily_api_key: SecretStr = Field(SecretStr(""), validation_alias="TAVILY_API_KEY")
    tavily_base_url: str | None = None
    text_model: str = "gpt-6-luna"
    image_model: str = "gpt-image-2.6-flare"
    image_size: Annotated[str, Field(pattern=r"^[0-9]{2,4}x[0-9]{2,4}$|^auto$")] = "1024x1024"
    research: Literal["auto", "openai", "tavily", "none"] = "auto"
    provider: Annotated[str, Field(max_length=200)] | None = None
    prices: Annotated[Path, AfterValidator(_usable)] | None = None

    # a process
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    deadline_s: Annotated[float | None, Field(gt=0, le=3600)] = None
    drain_s: Seconds = 8.0
    answers: Path | None = None
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    # the gateway
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    sockets_max: Annotated[int, Field(ge=1)] = 10_000
    origins: str = ""

    @property
    def researcher(self) -> Literal["openai", "tavily", "none"]:
        """Who searches: as set, or Tavily where its key is set, else OpenAI."""
        if self.research != "auto":
            return self.research
        return "tavily" if self.tavily_api_key.get_secret_value() else "openai"


def load_settings() -> Settings:
    """The settings of this process. Ends it with a sentence for each wrong one."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  (the aliased fields have defaults)
    except ValidationError as wrong:
        for problem in wrong.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0])
            variable = name if name.isupper() else f"PRESSROOM_{name.upper()}"
            print(f"The setting {variable} is wrong: {problem['msg']}.", file=sys.stderr)  # noqa: T201
        sys.exit(2)
