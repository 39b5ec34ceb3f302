"""What the environment makes of the settings, and what a wrong value says."""

import re
import secrets

import pytest

from infra.functions import ROOT
from shared.config import Settings, SettingsError, read_settings

NEEDED = {
    "DATABASE_URL": "postgresql://app:s3cret@db/docuvault",
    "MINIO_ENDPOINT": "store:9000",
    "MINIO_ACCESS_KEY": "s3cret",
    "MINIO_SECRET_KEY": "s3cret",
    "MINIO_BUCKET": "vault",
    "REDIS_URL": "redis://:s3cret@cache",
    "SECRET_KEY": secrets.token_hex(32),
    "CLOUD_CREDS_KEY": secrets.token_hex(32),
}
READ_LATER = {"metrics_token"}
"""By the issues that `shared/config.py` names beside them."""

LONG_KEY = "24a4eb6e207e984d7497e0d76b125334c0513fb13267c0e6fee10ad2eaf960999c925de3bcab5316"
"""Of 40 bytes."""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://db", "is not a postgresql:// URL. Example: DATABASE_URL=postgresql://"),
        ("REDIS_URL", "http://cache", "is not a redis://, rediss:// or unix:// URL. Example: REDIS_URL=redis://"),
        ("MINIO_ENDPOINT", "ftp://store", "is not an http:// or https:// URL. Example: MINIO_ENDPOINT=http://"),
        (
            "CLOUD_CREDS_KEY",
            "24a4eb6e207e984d7497e0d76b125334c0513fb13267c0e6fee10ad2eaf960999c925de3bcab5316",
            "holds a key that is not exactly 32 bytes. Example: CLOUD_CREDS_KEY=the output of",
        ),
        ("SECRET_KEY", "00" * 32, "holds a key that is not random. Example: SECRET_KEY=the output of"),
        ("MAX_DOCUMENT_SIZE", "5 apples", "is not a size. Example: MAX_DOCUMENT_SIZE=5 GiB"),
        ("RATE_LIMIT_LOGIN", "often", "is not a rate. Example: RATE_LIMIT_LOGIN=300/5 minutes"),
        ("CORS_ORIGINS", "*", "holds something that is not an origin (scheme://host, and the port if it has one). Example:"),
        ("TRUSTED_PROXIES", "proxy", "holds something that is neither an IP address nor a network. Example: TRUSTED_PROXIES=10.0.0.0/8"),
        ("MINIO_BUCKET", "", "is missing. Example: MINIO_BUCKET=docuvault"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_an_example(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings(NEEDED | {name: value})
    assert str(wrong.value).startswith(f"{name}: {sentence}")


def test_values_are_read_in_their_forms() -> None:
    settings = read_settings(
        NEEDED | {"DEFAULT_QUOTA": "2 GiB", "OCR_LANGUAGES": "eng+fra", "CORS_ORIGINS": "https://a.example/, https://b.example:8443"}
    )
    assert settings.minio_endpoint == settings.minio_public_endpoint == "http://store:9000"
    assert settings.default_quota == 2 * 2**30
    assert settings.ocr_languages == ("eng", "fra")
    assert settings.cors_origins == ("https://a.example", "https://b.example:8443")
    assert settings.secret_key == (bytes.fromhex(NEEDED["SECRET_KEY"]),)


def test_no_secret_shows() -> None:
    secret = {"SMTP_PASSWORD", "ADMIN_PASSWORD", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_CLIENT_SECRET", "ONEDRIVE_CLIENT_SECRET"}
    secret |= {"METRICS_TOKEN", "DATABASE_MIGRATE_URL"}
    shown = repr(read_settings(NEEDED | dict.fromkeys(secret, "postgresql://s3cret")))
    assert "s3cret" not in shown
    assert NEEDED["SECRET_KEY"] not in shown


def test_every_setting_is_read_or_says_by_which_issue_it_will_be() -> None:
    code = "\n".join(path.read_text() for folder in ("shared", "infra", "functions") for path in (ROOT / folder).rglob("*.py"))
    code = code.replace((ROOT / "shared/config.py").read_text(), "")
    limits = {name for name in Settings.model_fields if name.startswith("rate_limit_")}  # by name, in `count_named`
    unread = {name for name in Settings.model_fields.keys() - limits if not re.search(rf"\b{name}\b", code, re.IGNORECASE)}
    assert unread <= READ_LATER
