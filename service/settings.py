"""All settings of the service: environment variables `HRFORMER_…`, a TOML file, flags of `hrformer serve`."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hrformer.images.header import FORMATS

PREFIX = "HRFORMER_"
MIB = 1024 * 1024
MAX_TIMEOUT_MS = 600_000
MAX_BOXES = 64
LOOPBACK = ("127.0.0.1", "::1", "localhost")

# Read by the tests, not by the service.
OTHER_VARIABLES = {"HRFORMER_REFERENCE"}


class SettingsError(ValueError):
    """A setting has a name or value that it cannot have."""


Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What the service can be told. Flags go before the environment, the environment before the file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    config: Path | None = Field(None, description="TOML file with any of these settings")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for every network")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    api_keys_file: Path | None = Field(
        None, description="file with an API key, or `sha256:` and its SHA-256, on each line; none: no keys"
    )
    key_rate: float | None = Field(
        None, gt=0, le=1_000_000, description="requests a second for each API key; none: as many as there are"
    )
    key_burst: int = Field(
        20, ge=1, le=1_000_000, description="requests that a key has at once after a pause; with key_rate"
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate and its chain, to speak TLS; none: plain HTTP"
    )
    tls_key: Path | None = Field(None, description="PEM file with the key of tls_certificate")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")
    tracing: bool = Field(
        False,
        description="spans to an OpenTelemetry collector, which variables OTEL_… name; "
        "needs the extra `tracing`",
    )

    weights: Path | None = Field(
        None, description="folder with manifest.toml; none: the one beside the program"
    )
    models: Names = Field(
        (), description="names of the models to serve, with commas; none: all in the manifest"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:0")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of the products"
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads of the models; none: one for each core"
    )
    record: bool = Field(
        True,
        description="record the operations of a model after its first batch of a size, and run the next ones "
        "faster, with the same answers; on a CPU, for some 110 MB a size",
    )

    max_body_bytes: int = Field(20 * MIB, ge=1024, le=1024 * MIB, description="largest picture file read")
    max_image_pixels: int = Field(
        50_000_000, ge=256, le=1_000_000_000, description="largest width times height"
    )
    formats: Names = Field(
        FORMATS, description="picture formats read, with commas; AVIF and HEIF may be added"
    )
    header_timeout_s: float = Field(
        10.0, gt=0, le=600, description="seconds in which the headers of a request must have arrived"
    )
    body_timeout_s: float = Field(20.0, gt=0, le=600, description="seconds in which a body must have arrived")
    timeout_ms: int = Field(30_000, ge=1, le=MAX_TIMEOUT_MS, description="for requests without X-Timeout-Ms")
    max_timeout_ms: int = Field(
        MAX_TIMEOUT_MS,
        ge=1,
        le=MAX_TIMEOUT_MS,
        description="largest X-Timeout-Ms; whoever stops the service should wait 34 s longer",
    )

    max_requests: int = Field(
        256, ge=1, le=100_000, description="requests answered at once; more are refused"
    )
    max_waiting_items: int = Field(
        1024,
        ge=MAX_BOXES,
        le=1_000_000,
        description="crops or pictures of one model not yet computed; more are refused",
    )
    max_waiting_bytes: int = Field(
        512 * MIB,
        ge=MIB,
        description="memory for bodies, pictures and crops of all requests; more are refused",
    )
    max_pose_batch: int = Field(16, ge=1, le=1024, description="crops run together")
    max_segment_batch: int = Field(4, ge=1, le=256, description="pictures run together")
    max_people_batch: int = Field(4, ge=1, le=256, description="pictures searched for people together")
    max_wait_ms: float = Field(
        0.0, ge=0, le=1000, description="how long work may wait for more when the model is free"
    )
    decode_threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="threads that decode; none: a quarter of the cores beside a model on the CPU, three "
        "quarters beside a GPU",
    )
    encode_threads: int | None = Field(
        None, ge=1, le=256, description="threads that encode; none: as many as for decoding"
    )

    drain_grace_s: float = Field(
        2.0, ge=0, le=600, description="seconds after SIGTERM in which work is still taken"
    )
    hang_after_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="seconds after which a call of a model, decoder or encoder is hung, and the process ends",
    )

    admin_routes: bool = Field(
        False, description="POST /admin/reload; on other hosts than this one only with api_keys_file"
    )
    canary_picture: Path | None = Field(
        None, description="picture that models loaded anew must answer; none: waves and noise"
    )
    reload_agreement: float = Field(
        0.5,
        ge=0,
        le=1,
        description="least share of canary_picture's joints or pixels on which other weights agree with "
        "those they replace; counts only with canary_picture",
    )

    @field_validator("models", "formats", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(name.strip() for name in value.split(",") if name.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("formats")
    @classmethod
    def _known_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.upper() for name in value)
        known = (*FORMATS, "AVIF", "HEIF")
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"there is no format {unknown[0]}; known are {', '.join(known)}")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.precision == "float16" and self.device == "cpu":
            raise ValueError("precision float16 needs a GPU, but device is cpu; set precision to auto")
        if self.max_waiting_bytes < 2 * self.max_body_bytes:
            raise ValueError("max_waiting_bytes has no room for two pictures of max_body_bytes; raise it")
        if self.max_waiting_items < max(self.max_pose_batch, self.max_segment_batch, self.max_people_batch):
            raise ValueError("max_waiting_items is below the largest batch of a model; raise it")
        if self.timeout_ms > self.max_timeout_ms:
            raise ValueError("timeout_ms is over max_timeout_ms, so that nobody could ask for as much")
        if self.max_wait_ms >= self.timeout_ms:
            raise ValueError(
                "max_wait_ms is not below timeout_ms, so that every request would miss its deadline"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together, and only one of them is set")
        if self.key_rate is not None and self.api_keys_file is None:
            raise ValueError("key_rate counts requests by API key; set api_keys_file too")
        if self.admin_routes and self.api_keys_file is None and self.host not in LOOPBACK:
            raise ValueError(
                f"admin_routes on {self.host} needs api_keys_file, or anybody could swap the models"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # given by pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, file. No `.env`, no directory of secrets."""
        file = init_settings().get("config") or env_settings().get("config")
        if file is not None and not Path(file).is_file():
            raise SettingsError(f"config: there is no file {file}")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """The settings from flags, environment and file. raises: SettingsError, naming the setting."""
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name for name in os.environ if name.upper().startswith(PREFIX)}
    if unknown := sorted(name for name in given if name.upper() not in names | OTHER_VARIABLES):
        raise SettingsError(f"{unknown[0]} is no setting; they are listed by `hrformer serve --help`")
    try:
        return Settings(**flags)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(fault) for fault in error.errors())) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"config: the file is not TOML: {error}") from error


def _sentence(fault: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "there is no such setting"
    return f"{name} ({PREFIX}{name.upper()}): {message}" if name else message
