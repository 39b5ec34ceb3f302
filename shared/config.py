"""Every setting, its name in the environment, its default.

Read once, checked at once: a wrong value stops the process with a sentence that names the variable, what is wrong and an example.
Fields are the variables' names in lower case. Secrets never show in `repr`.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"(\d+)\s*([KMGT]iB|B)?", re.IGNORECASE)
_RATE = re.compile(r"[1-9]\d*\s*/\s*(\d+\s+)?(second|minute|hour|day)s?")

_ORIGIN = re.compile(r"https?://[^/?#@\s*]+", re.IGNORECASE)

_EXAMPLES = {
    "DATABASE_URL": "postgresql://docuvault_app:secret@127.0.0.1:5432/docuvault",
    "DATABASE_MIGRATE_URL": "postgresql://docuvault_migrate:secret@127.0.0.1:5432/docuvault",
    "MINIO_ENDPOINT": "http://127.0.0.1:9000",
    "MINIO_PUBLIC_ENDPOINT": "https://objects.example.org",
    "MINIO_ACCESS_KEY": "docuvault",
    "MINIO_SECRET_KEY": "the output of `openssl rand -hex 20`",
    "MINIO_BUCKET": "docuvault",
    "REDIS_URL": "redis://:secret@127.0.0.1:6379/0",
    "SECRET_KEY": "the output of `openssl rand -base64 32`",
    "CLOUD_CREDS_KEY": "the output of `openssl rand -base64 32`",
    "MAX_DOCUMENT_SIZE": "5 GiB",
    "DEFAULT_QUOTA": "20 GiB",
    "TRUSTED_PROXIES": "10.0.0.0/8,192.168.1.5",
    "MAX_CONNECTIONS": "4096",
    "RATE_LIMIT_LOGIN": "300/5 minutes",
    "RATE_LIMIT_REGISTER": "100/hour",
    "BACKEND_URL": "https://vault.example.org",
    "CORS_ORIGINS": "https://vault.example.org,https://app.example.org:8443",
    "FUNCTION_URL_TEMPLATE": "http://{service}.docuvault.svc.cluster.local",
}


class SettingsError(Exception):
    """The environment does not make valid settings; the message names each variable, what is wrong and an example."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

    database_url: str = Field(repr=False)
    database_migrate_url: str = Field(default="", repr=False)
    database_pool_size: int = Field(default=8, ge=1, le=100)

    minio_endpoint: str
    minio_public_endpoint: str = ""
    minio_access_key: str = Field(repr=False)
    minio_secret_key: str = Field(repr=False)
    minio_bucket: str
    minio_region: str = "us-east-1"
    minio_upload_access_key: str = Field(default="", repr=False)
    minio_upload_secret_key: str = Field(default="", repr=False)
    minio_download_access_key: str = Field(default="", repr=False)
    minio_download_secret_key: str = Field(default="", repr=False)

    redis_url: str = Field(repr=False)

    secret_key: tuple[bytes, ...] = Field(repr=False)
    cloud_creds_key: tuple[bytes, ...] = Field(repr=False)

    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: str = Field(default="", repr=False)
    smtp_from: str = ""

    google_client_id: str = ""
    google_client_secret: str = Field(default="", repr=False)
    google_drive_scope: str = "https://www.googleapis.com/auth/drive.file"
    onedrive_client_id: str = ""
    onedrive_client_secret: str = Field(default="", repr=False)
    onedrive_tenant_id: str = "common"

    admin_email: str = ""
    admin_password: str = Field(default="", repr=False)

    default_ai_provider: Literal["anthropic", "openai", "ollama", "lmstudio", "local"] = "ollama"
    default_ai_model: str = "llama3.2"
    anthropic_api_key: str = Field(default="", repr=False)
    anthropic_base_url: str = ""
    openai_api_key: str = Field(default="", repr=False)
    openai_base_url: str = ""
    ollama_base_url: str = "http://host.docker.internal:11434/v1"
    lmstudio_base_url: str = "http://host.docker.internal:1234/v1"

    backend_url: str = "http://127.0.0.1:8080"
    frontend_url: str = ""
    cors_origins: tuple[str, ...] = ()

    max_connections: int = Field(default=4096, ge=64, le=1_000_000)
    rate_limit_register: str = "100/hour"
    rate_limit_login: str = "300/5 minutes"
    rate_limit_second_factor: str = "30/5 minutes"
    """Counts, and refuses, only requests with a challenge or a reset link that is not good."""
    rate_limit_forgot: str = "300/5 minutes"
    rate_limit_account: str = "30000/minute"
    rate_limit_address: str = "60000/minute"

    argon2_memory_kib: int = Field(default=19 * 1024, ge=8 * 1024)
    argon2_time: int = Field(default=2, ge=1)
    argon2_parallelism: int = Field(default=1, ge=1)

    ocr_languages: tuple[str, ...] = ("eng", "deu")
    max_document_size: int = 5 * 2**30
    default_quota: int = 20 * 2**30
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    hibp_url: str = "https://api.pwnedpasswords.com"
    function_url_template: str = ""
    worker_url: str = "http://127.0.0.1:8081"
    worker_host: str = "127.0.0.1"
    worker_port: int = Field(default=8081, ge=1, le=65535)
    broker_documents_concurrency: int = Field(default=4 * (os.cpu_count() or 1), ge=1, le=1000)
    broker_large_concurrency: int = Field(default=2 * (os.cpu_count() or 1), ge=1, le=1000)
    broker_recognition_concurrency: int = Field(default=os.cpu_count() or 1, ge=1, le=1000)
    broker_email_concurrency: int = Field(default=8, ge=1, le=1000)
    broker_system_concurrency: int = Field(default=4, ge=1, le=1000)
    broker_ai_concurrency: int = Field(default=64, ge=1, le=1000)
    allowed_private_hosts: tuple[str, ...] = ()
    metrics_token: str = Field(default="", repr=False)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("database_url", "database_migrate_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("postgres", "postgresql"):
            raise ValueError("is not a postgresql:// URL")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("is not a redis://, rediss:// or unix:// URL")
        return value

    @field_validator(
        "minio_endpoint",
        "minio_public_endpoint",
        "anthropic_base_url",
        "openai_base_url",
        "ollama_base_url",
        "lmstudio_base_url",
        "backend_url",
        "frontend_url",
        "hibp_url",
        "worker_url",
        "function_url_template",
    )
    @classmethod
    def _http_url(cls, value: str) -> str:
        if not value:
            return value
        if "://" not in value:
            value = f"http://{value}"
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not an http:// or https:// URL")
        return value.rstrip("/")

    @field_validator("secret_key", "cloud_creds_key", mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        keys = tuple(_key_bytes(part.strip()) for part in value.split(",") if part.strip())
        if not keys:
            raise ValueError("is empty")
        return keys

    @field_validator("cloud_creds_key")
    @classmethod
    def _master_keys(cls, value: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if any(len(key) != 32 for key in value):
            raise ValueError("holds a key that is not exactly 32 bytes")
        return value

    @field_validator("cors_origins", "allowed_private_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return (
            tuple(part.strip().rstrip("/") if "://" in part else part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Not `*` either: answers to other origins carry what cookies and tokens open.
        if not all(_ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("holds something that is not an origin (scheme://host, and the port where it has one)")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("holds something that is neither an IP address nor a network") from None

    @field_validator("ocr_languages", mode="before")
    @classmethod
    def _plus_separated(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split("+") if part.strip()) if isinstance(value, str) else value

    @field_validator("max_document_size", "default_quota", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _SIZE.fullmatch(value.strip())
        if not match:
            raise ValueError("is not a size")
        return int(match[1]) * _UNITS[(match[2] or "").lower()]

    @field_validator(
        "rate_limit_register",
        "rate_limit_login",
        "rate_limit_second_factor",
        "rate_limit_forgot",
        "rate_limit_account",
        "rate_limit_address",
    )
    @classmethod
    def _rate(cls, value: str) -> str:
        if not _RATE.fullmatch(value):
            raise ValueError("is not a rate")
        return value

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
    def _defaults_from_others(self) -> "Settings":
        if not self.minio_public_endpoint:
            object.__setattr__(self, "minio_public_endpoint", self.minio_endpoint)
        if not self.frontend_url:
            object.__setattr__(self, "frontend_url", self.backend_url)
        return self


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


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables; empty ones count as unset, HIBP_URL excepted (empty switches the check off).

    Raises SettingsError.
    """
    given = {
        name: environ[name.upper()]
        for name in Settings.model_fields
        if environ.get(name.upper(), "").strip() or (name == "hibp_url" and "HIBP_URL" in environ)
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as invalid:
        raise SettingsError("\n".join(_sentence(error) for error in invalid.errors())) from None


def _sentence(error: Any) -> str:
    wrong = "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"{wrong}."  # of several together, which it names
    variable = str(error["loc"][0]).upper()
    example = _EXAMPLES.get(variable)
    return f"{variable}: {wrong}." + (f" Example: {variable}={example}" if example else "")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings. Raises SettingsError."""
    return read_settings(os.environ)
