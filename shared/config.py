"""Every setting: its name in the environment, its form, its default, an example.

Read once, checked at once: a wrong value stops the process with a sentence that names the variable, what is wrong and an example.
Fields are the variables' names in lower case; a field's type says how its text is read and whether it is a secret, which no `repr` shows.
A secret may also stand in a file: DATABASE_URL_FILE=/run/secrets/database_url.

A process may be given some of the settings only, by the groups in SETTINGS_GROUPS: what it needs, and no key more. Then those alone are
required, and reading another one of a group raises, since its absence would mean something (without SMTP_HOST mails are logged).
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"(\d+)\s*([KMGT]iB|B)?", re.IGNORECASE)
_RATE = re.compile(r"[1-9]\d*\s*/\s*(\d+\s+)?(second|minute|hour|day)s?")
_ORIGIN = re.compile(r"https?://[^/?#@\s*]+", re.IGNORECASE)


class SettingsError(Exception):
    """The environment does not make valid settings; the message names each variable, what is wrong and an example."""


def _database_url(value: str) -> str:
    if value and urlsplit(value).scheme not in ("postgres", "postgresql"):
        raise ValueError("is not a postgresql:// URL")
    return value


def _redis_url(value: str) -> str:
    """With its port: of what reads it, the client takes 6379 for granted, and the limiter refuses to work."""
    parts = urlsplit(value)
    if value and parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("is not a redis://, rediss:// or unix:// URL")
    if not value or parts.scheme == "unix":
        return value
    if not parts.hostname:
        raise ValueError("names no host")
    return value if parts.port is not None else parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:6379").geturl()


def _http_url(value: str) -> str:
    if not value:
        return value
    if "://" not in value:
        value = f"http://{value}"
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an http:// or https:// URL")
    return value.rstrip("/")


def _readable_file(value: str) -> str:
    if not value:
        return value
    try:
        Path(value).open("rb").close()
    except (OSError, ValueError) as unreadable:
        raise ValueError(f"{value} cannot be read ({_reason(unreadable)})") from None
    return value


def _reason(unreadable: OSError | ValueError) -> str:
    return getattr(unreadable, "strerror", None) or "is no path"


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError("is not a size")
    return int(match[1]) * _UNITS[(match[2] or "").lower()]


def _rate(value: str) -> str:
    if not _RATE.fullmatch(value):
        raise ValueError("is not a rate")
    return value


def _keys(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    keys = tuple(_key_bytes(part.strip()) for part in value.split(",") if part.strip())
    if not keys:
        raise ValueError("is empty")
    return keys


def _key_bytes(text: str) -> bytes:
    """At least 32 bytes from hex or base64 (standard or URL-safe, padded or not); anything else is refused."""
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        key = bytes.fromhex(text)
    else:
        try:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("is neither hex nor base64") from None
    if len(key) < 32:
        raise ValueError(f"holds a key of {len(key)} bytes; at least 32 random bytes are needed")
    if len(set(key)) < 12:
        raise ValueError("holds a key that is not random")
    return key


def _of_32_bytes(value: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if any(len(key) != 32 for key in value):
        raise ValueError("holds a key that is not exactly 32 bytes")
    return value


def _comma_separated(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip().rstrip("/") if "://" in part else part.strip() for part in value.split(",") if part.strip())


def _plus_separated(value: Any) -> Any:
    return tuple(part.strip() for part in value.split("+") if part.strip()) if isinstance(value, str) else value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    # Not `*` either: responses to other origins carry what cookies and tokens open.
    if not all(_ORIGIN.fullmatch(origin) for origin in value):
        raise ValueError("holds something that is not an origin (scheme://host, and the port if it has one)")
    return value


def _networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
    except ValueError:
        raise ValueError("holds something that is neither an IP address nor a network") from None


Secret = Annotated[str, Field(repr=False)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url), Field(repr=False)]
RedisUrl = Annotated[str, AfterValidator(_redis_url), Field(repr=False)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Size = Annotated[int, BeforeValidator(_size)]
"""Bytes, as `5 GiB` or a number."""
Rate = Annotated[str, AfterValidator(_rate)]
"""`300/5 minutes`"""
Keys = Annotated[tuple[bytes, ...], BeforeValidator(_keys), Field(repr=False)]
"""Comma-separated: the first signs or seals, all verify or open."""
NameList = Annotated[tuple[str, ...], BeforeValidator(_comma_separated)]
Port = Annotated[int, Field(ge=1, le=65535)]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
"""Deliveries at once, of one queue, by one broker."""

_CPUS = os.cpu_count() or 1

FILE_BYTES = 64 * 1024
"""What a file that holds a secret may have."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "database": ("database_url",),
    "migrations": ("database_migrate_url",),
    "redis": ("redis_url",),
    "bucket": ("minio_endpoint", "minio_public_endpoint", "minio_bucket", "minio_region"),
    "store": (
        "minio_access_key", "minio_secret_key", "minio_upload_access_key", "minio_upload_secret_key", "minio_download_access_key",
        "minio_download_secret_key",
    ),
    "keys": ("secret_key",),
    "sealing": ("cloud_creds_key",),
    "mail": ("smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_from", "smtp_ca_file"),
    "google": (
        "google_client_id", "google_client_secret", "google_drive_scope", "google_api_url", "google_auth_url", "google_token_url",
    ),
    "onedrive": (
        "onedrive_client_id", "onedrive_client_secret", "onedrive_tenant_id", "onedrive_login_url", "onedrive_graph_url",
    ),
    "admin": ("admin_email", "admin_password"),
    "ai": ("anthropic_api_key", "anthropic_base_url", "openai_api_key", "openai_base_url", "ollama_base_url", "lmstudio_base_url"),
    "metrics": ("metrics_token",),
}  # fmt: skip
"""Every secret, with the settings that mean something beside it; `bucket` says where objects are and has no key. What is in no group is
no secret, and every process has it."""

GROUP_OF: Mapping[str, str] = {name: group for group, names in GROUPS.items() for name in names}


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in GROUP_OF:
                raise SettingsError(
                    f"{name.upper()}: was not given to this process: SETTINGS_GROUPS has no {GROUP_OF[name]}, and this code needs it."
                )
            return super().__getattr__(name)

    database_url: DatabaseUrl = Field(examples=["postgresql://docuvault_app:secret@127.0.0.1:5432/docuvault"])
    database_migrate_url: DatabaseUrl = Field("", examples=["postgresql://docuvault_migrate:secret@127.0.0.1:5432/docuvault"])
    database_pool_size: int = Field(8, ge=1, le=100)

    minio_endpoint: HttpUrl = Field(examples=["http://127.0.0.1:9000"])
    minio_public_endpoint: HttpUrl = Field("", examples=["https://objects.example.org"])
    minio_access_key: Secret = Field(examples=["docuvault"])
    minio_secret_key: Secret = Field(examples=["the output of `openssl rand -hex 20`"])
    minio_bucket: str = Field(examples=["docuvault"])
    minio_region: str = "us-east-1"
    minio_upload_access_key: Secret = ""
    minio_upload_secret_key: Secret = ""
    minio_download_access_key: Secret = ""
    minio_download_secret_key: Secret = ""

    redis_url: RedisUrl = Field(examples=["redis://:secret@127.0.0.1:6379/0"])

    secret_key: Keys = Field(examples=["the output of `openssl rand -base64 32`"])
    cloud_creds_key: Annotated[Keys, AfterValidator(_of_32_bytes)] = Field(examples=["the output of `openssl rand -base64 32`"])

    smtp_host: str = ""
    smtp_port: Port = 587
    smtp_user: str = ""
    smtp_password: Secret = ""
    smtp_from: str = ""
    smtp_ca_file: Annotated[str, AfterValidator(_readable_file)] = ""
    """The certificates to trust instead of the system's."""

    google_client_id: str = ""
    google_client_secret: Secret = ""
    google_drive_scope: str = "https://www.googleapis.com/auth/drive.file"
    google_api_url: str = "https://www.googleapis.com"
    google_auth_url: str = "https://accounts.google.com/o/oauth2/auth"
    google_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105
    """These three differ where tests stand in for Google."""
    onedrive_client_id: str = ""
    onedrive_client_secret: Secret = ""
    onedrive_tenant_id: str = "common"
    onedrive_login_url: str = "https://login.microsoftonline.com"
    onedrive_graph_url: str = "https://graph.microsoft.com/v1.0"
    """Both differ in the national clouds, and where tests stand in for Microsoft."""

    admin_email: str = ""
    admin_password: Secret = ""

    default_ai_provider: Literal["anthropic", "openai", "ollama", "lmstudio", "local"] = "ollama"
    default_ai_model: str = "llama3.2"
    anthropic_api_key: Secret = ""
    anthropic_base_url: HttpUrl = ""
    openai_api_key: Secret = ""
    openai_base_url: HttpUrl = ""
    ollama_base_url: HttpUrl = "http://host.docker.internal:11434/v1"
    lmstudio_base_url: HttpUrl = "http://host.docker.internal:1234/v1"

    backend_url: HttpUrl = Field("http://127.0.0.1:8080", examples=["https://vault.example.org"])
    frontend_url: HttpUrl = ""
    cors_origins: Annotated[NameList, AfterValidator(_origins)] = Field(
        (), examples=["https://vault.example.org,https://app.example.org:8443"]
    )

    max_connections: int = Field(4096, ge=64, le=1_000_000, examples=["4096"])
    rate_limit_register: Rate = Field("100/hour", examples=["100/hour"])
    rate_limit_login: Rate = Field("300/5 minutes", examples=["300/5 minutes"])
    rate_limit_second_factor: Rate = "30/5 minutes"
    """Counts, and refuses, only requests with a challenge or a reset link that is not good."""
    rate_limit_forgot: Rate = "300/5 minutes"
    rate_limit_share: Rate = "300/5 minutes"
    rate_limit_account: Rate = "30000/minute"
    rate_limit_address: Rate = "60000/minute"

    argon2_memory_kib: int | None = Field(None, ge=8 * 1024)
    argon2_time: int | None = Field(None, ge=1)
    argon2_parallelism: int | None = Field(None, ge=1)
    """If nothing is set, the parameters of `shared/identity/passwords.py`."""

    ocr_languages: Annotated[tuple[str, ...], BeforeValidator(_plus_separated)] = ("eng", "deu")
    max_document_size: Size = Field(5 * 2**30, examples=["5 GiB"])
    default_quota: Size = Field(20 * 2**30, examples=["20 GiB"])
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = Field(
        (), examples=["10.0.0.0/8,192.168.1.5"]
    )
    hibp_url: HttpUrl = "https://api.pwnedpasswords.com"
    function_url_template: HttpUrl = Field("", examples=["http://{service}.docuvault.svc.cluster.local"])
    remote_functions: NameList = Field((), examples=["create_upload,send_email"])
    """The functions that FUNCTION_URL_TEMPLATE is for, if it is not for all."""
    worker_url: HttpUrl = "http://127.0.0.1:8081"
    worker_host: str = "127.0.0.1"
    worker_port: Port = 8081
    broker_documents_concurrency: Concurrency = 4 * _CPUS
    broker_large_concurrency: Concurrency = 2 * _CPUS
    broker_recognition_concurrency: Concurrency = _CPUS
    broker_email_concurrency: Concurrency = 8
    broker_system_concurrency: Concurrency = 4
    broker_ai_concurrency: Concurrency = 64
    broker_heartbeat: str = ""
    """A file that a broker touches while it is well."""
    allowed_private_hosts: NameList = ()
    metrics_token: Secret = ""
    """Who reads `/metrics` sends it; without it everyone may read."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    def has(self, group: str) -> bool:
        """Whether this process was given the settings of a group (of GROUPS)."""
        return GROUPS[group][0] in self.__dict__

    @model_validator(mode="after")
    def _url_keys(self) -> "Settings":
        upload, download = self.minio_upload_access_key, self.minio_download_access_key
        named = (upload, self.minio_upload_secret_key, download, self.minio_download_secret_key)
        if any(named) and not all(named):
            raise ValueError(
                "MINIO_UPLOAD_ACCESS_KEY, MINIO_UPLOAD_SECRET_KEY, MINIO_DOWNLOAD_ACCESS_KEY and MINIO_DOWNLOAD_SECRET_KEY go together: "
                "set all four or none"
            )
        if upload and len({upload, download, self.minio_access_key}) < 3:
            raise ValueError("MINIO_UPLOAD_ACCESS_KEY, MINIO_DOWNLOAD_ACCESS_KEY and MINIO_ACCESS_KEY must be three different keys")
        return self

    @model_validator(mode="after")
    def _remote_functions_are_somewhere(self) -> "Settings":
        if self.remote_functions and not self.function_url_template:
            raise ValueError(
                "REMOTE_FUNCTIONS: says which functions FUNCTION_URL_TEMPLATE is for, which is not set. "
                "Example: FUNCTION_URL_TEMPLATE=http://{service}:8080"
            )
        return self

    @model_validator(mode="after")
    def _defaults_from_others(self) -> "Settings":
        if not self.minio_public_endpoint:
            object.__setattr__(self, "minio_public_endpoint", self.minio_endpoint)
        if not self.frontend_url:
            object.__setattr__(self, "frontend_url", self.backend_url)
        return self


SECRETS = frozenset(name for name, field in Settings.model_fields.items() if not field.repr)
"""The settings that may come from a file."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables; empty ones count as unset, HIBP_URL excepted (empty switches the check off).

    With SETTINGS_GROUPS (`database,redis`) those groups alone are read. Raises SettingsError.
    """
    withheld = _withheld(environ.get("SETTINGS_GROUPS", ""))
    values: dict[str, Any] = {}
    for name in Settings.model_fields.keys() - withheld:
        value = secret(environ, name.upper()) if name in SECRETS else environ.get(name.upper(), "")
        if value.strip() or (name == "hibp_url" and "HIBP_URL" in environ):
            values[name] = value
    for name in withheld:
        if Settings.model_fields[name].is_required():
            values[name] = () if name in ("secret_key", "cloud_creds_key") else ""  # what its check lets through, removed below
    try:
        read = Settings.model_validate(values)
    except ValidationError as invalid:
        raise SettingsError("\n".join(_sentence(error) for error in invalid.errors())) from None
    for name in withheld:
        del read.__dict__[name]
    return read


def secret(environ: Mapping[str, str], variable: str) -> str:
    """The variable's value, or what the file that `<variable>_FILE` names holds, without its last newline; empty if neither is set.

    Raises SettingsError if both are, or if the file cannot be read.
    """
    value, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "").strip()
    if not file:
        return value
    if value.strip():
        raise SettingsError(f"{variable} and {variable}_FILE are both set; keep one of them.")
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(FILE_BYTES + 1)
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"{variable}_FILE: {file} cannot be read ({_reason(unreadable)}).") from None
    if len(content) > FILE_BYTES:
        raise SettingsError(f"{variable}_FILE: {file} has more than {FILE_BYTES} bytes, which is no secret.")
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}_FILE: {file} is not text (UTF-8).") from None
    if not text.strip():
        raise SettingsError(f"{variable}_FILE: {file} is empty.")
    return text


def without_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables, each secret that comes from a file in place of the file's name. Raises SettingsError."""
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    plain = {name: value for name, value in environ.items() if name not in files}
    named = {file.removesuffix("_FILE") for file in files if environ.get(file, "").strip()}
    return plain | {variable: secret(environ, variable) for variable in named}


def _withheld(groups: str) -> set[str]:
    """The settings that are in none of the groups."""
    given = {group.strip() for group in groups.split(",") if group.strip()}
    if not given:
        return set()
    if unknown := sorted(given - GROUPS.keys()):
        raise SettingsError(f"SETTINGS_GROUPS: there is no group {', '.join(unknown)}. Example: SETTINGS_GROUPS=database,redis,keys")
    return {name for name, group in GROUP_OF.items() if group not in given}


def _sentence(error: Any) -> str:
    wrong = "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"{wrong}."  # of several together, which it names
    variable = str(error["loc"][0]).upper()
    examples = Settings.model_fields[str(error["loc"][0])].examples
    return f"{variable}: {wrong}." + (f" Example: {variable}={examples[0]}" if examples else "")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings. Raises SettingsError."""
    return read_settings(os.environ)
