"""What the environment makes of the settings, and what a wrong value says."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from infra.functions import ROOT
from infra.local.environment import forget_other_programs
from shared.config import FILE_BYTES, GROUP_OF, GROUPS, SECRETS, Settings, SettingsError, read_settings, secret, without_files

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
LONG_KEY = "24a4eb6e207e984d7497e0d76b125334c0513fb13267c0e6fee10ad2eaf960999c925de3bcab5316"
"""Of 40 bytes."""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://db", "is not a postgresql:// URL. Example: DATABASE_URL=postgresql://"),
        ("REDIS_URL", "http://cache", "is not a redis://, rediss:// or unix:// URL. Example: REDIS_URL=redis://"),
        ("REDIS_URL", "redis:///0", "names no host. Example: REDIS_URL=redis://"),
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
        ("SMTP_CA_FILE", "/nowhere/mail.pem", "/nowhere/mail.pem cannot be read (No such file or directory)."),
        ("SMTP_CA_FILE", "/nowhere\0", "/nowhere\0 cannot be read (is no path)."),
        ("REMOTE_FUNCTIONS", "send_email", "says which functions FUNCTION_URL_TEMPLATE is for, which is not set. Example: FUNCTION_URL_"),
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


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("redis://cache", "redis://cache:6379"),
        ("redis://:p%40ss@cache:", "redis://:p%40ss@cache:6379"),
        ("rediss://user:s3cret@[2001:db8::1]/2", "rediss://user:s3cret@[2001:db8::1]:6379/2"),
        ("redis://cache:7000/0?db=1", "redis://cache:7000/0?db=1"),
        ("unix:///run/cache.sock", "unix:///run/cache.sock"),
    ],
)
def test_redis_has_its_usual_port(given: str, read: str) -> None:
    assert read_settings(NEEDED | {"REDIS_URL": given}).redis_url == read


def test_no_secret_shows() -> None:
    secret = {"SMTP_PASSWORD", "ADMIN_PASSWORD", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_CLIENT_SECRET", "ONEDRIVE_CLIENT_SECRET"}
    secret |= {"METRICS_TOKEN", "DATABASE_MIGRATE_URL"}
    shown = repr(read_settings(NEEDED | dict.fromkeys(secret, "postgresql://s3cret")))
    assert "s3cret" not in shown
    assert NEEDED["SECRET_KEY"] not in shown


def test_every_setting_is_read() -> None:
    code = "\n".join(path.read_text() for folder in ("shared", "infra", "functions") for path in (ROOT / folder).rglob("*.py"))
    code = code.replace((ROOT / "shared/config.py").read_text(), "")
    limits = {name for name in Settings.model_fields if name.startswith("rate_limit_")}  # by name, in `count_named`
    unread = {name for name in Settings.model_fields.keys() - limits if not re.search(rf"\b{name}\b", code, re.IGNORECASE)}
    assert unread == set()


def _file(folder: Path, content: bytes) -> str:
    path = folder / "secret"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_may_come_from_a_file(name: str, ending: bytes, tmp_path: Path) -> None:
    variable = name.upper()
    value = NEEDED.get(variable) or ("postgresql://m:s3cret@db/docuvault" if variable.startswith("DATABASE") else "s3cret")
    environ = {known: text for known, text in NEEDED.items() if known != variable}
    if variable.startswith(("MINIO_UPLOAD", "MINIO_DOWNLOAD")):
        four = ("MINIO_UPLOAD_ACCESS_KEY", "MINIO_UPLOAD_SECRET_KEY", "MINIO_DOWNLOAD_ACCESS_KEY", "MINIO_DOWNLOAD_SECRET_KEY")
        environ |= {other: other for other in four if other != variable}
        value = "another"
    from_file = read_settings(environ | {f"{variable}_FILE": _file(tmp_path, value.encode() + ending)})
    assert getattr(from_file, name) == getattr(read_settings(environ | {variable: value}), name)


def test_a_file_keeps_all_but_its_last_newline(tmp_path: Path) -> None:
    assert secret({"SMTP_PASSWORD_FILE": _file(tmp_path, b" two \n\n")}, "SMTP_PASSWORD") == " two \n"
    assert without_files({"A": "b", "SMTP_PASSWORD_FILE": _file(tmp_path, b"word\n")}) == {"A": "b", "SMTP_PASSWORD": "word"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"REDIS_URL_FILE: /.* cannot be read \(No such file or directory\)\."),
        (b"", r"REDIS_URL_FILE: /.* is empty\."),
        (b"\n", r"REDIS_URL_FILE: /.* is empty\."),
        (b"\xff\xfe", r"REDIS_URL_FILE: /.* is not text \(UTF-8\)\."),
        (b"x" * (FILE_BYTES + 1), r"REDIS_URL_FILE: /.* has more than 65536 bytes, which is no secret\."),
        (b"http://s3cret\n", r"REDIS_URL: is not a redis://.*"),
    ],
)
def test_a_file_that_is_no_good_is_one_sentence(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = str(tmp_path / "absent") if content is None else _file(tmp_path, content)
    environ = {name: value for name, value in NEEDED.items() if name != "REDIS_URL"}
    with pytest.raises(SettingsError) as wrong:
        read_settings(environ | {"REDIS_URL_FILE": path})
    assert re.fullmatch(sentence, str(wrong.value))
    assert "s3cret" not in str(wrong.value)


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        secret({"SECRET_KEY_FILE": str(tmp_path)}, "SECRET_KEY")
    with pytest.raises(SettingsError, match="cannot be read"):
        secret({"SECRET_KEY_FILE": "/run/\0"}, "SECRET_KEY")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY and SECRET_KEY_FILE are both set; keep one of them"):
        read_settings(NEEDED | {"SECRET_KEY_FILE": _file(tmp_path, b"x")})


def test_an_empty_file_name_counts_as_unset() -> None:
    assert read_settings(NEEDED | {"SECRET_KEY_FILE": " "}).secret_key == read_settings(NEEDED).secret_key


def test_the_first_program_of_all_takes_its_url_from_a_file(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.postgres.migrate"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_MIGRATE_URL_FILE": str(tmp_path / "absent")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, "DATABASE_MIGRATE_URL_FILE" in ran.stderr, "Traceback" in ran.stderr) == (2, True, False)


def test_a_process_needs_only_the_groups_that_it_is_given() -> None:
    settings = read_settings(
        {"SETTINGS_GROUPS": "database, keys", "DATABASE_URL": NEEDED["DATABASE_URL"], "SECRET_KEY": NEEDED["SECRET_KEY"]}
    )
    assert settings.database_url == NEEDED["DATABASE_URL"]
    assert settings.default_quota == 20 * 2**30
    assert (settings.has("database"), settings.has("mail")) == (True, False)
    with pytest.raises(SettingsError, match="DATABASE_URL: is missing"):
        read_settings({"SETTINGS_GROUPS": "database"})


@pytest.mark.parametrize("name", sorted(GROUP_OF))
def test_a_setting_of_another_group_is_refused_and_not_taken_for_unset(name: str) -> None:
    group = "redis" if GROUP_OF[name] != "redis" else "database"
    # Even if the environment has it.
    settings = read_settings(NEEDED | {"SETTINGS_GROUPS": group, "SMTP_HOST": "mail"})
    with pytest.raises(SettingsError, match=rf"{name.upper()}: was not given to this process: SETTINGS_GROUPS has no {GROUP_OF[name]}"):
        getattr(settings, name)
    assert "s3cret" not in repr(settings)


def test_who_knows_where_the_store_is_needs_no_key_to_it() -> None:
    settings = read_settings({"SETTINGS_GROUPS": "bucket", "MINIO_ENDPOINT": "http://store:9000", "MINIO_BUCKET": "vault"})
    assert settings.minio_public_endpoint == "http://store:9000"
    assert not {name for name in GROUPS["bucket"] if name in SECRETS}


def test_a_group_that_there_is_none_of_is_named() -> None:
    with pytest.raises(SettingsError, match=r"SETTINGS_GROUPS: there is no group mial\. Example"):
        read_settings(NEEDED | {"SETTINGS_GROUPS": "mial,keys"})


def test_every_secret_is_in_a_group() -> None:
    assert SECRETS <= GROUP_OF.keys() <= Settings.model_fields.keys()


def test_the_name_of_a_secrets_file_is_not_taken_for_another_programs_setting() -> None:
    environ = {f"{name.upper()}_FILE": "/run/secrets/x" for name in SECRETS}
    kept = dict(environ)
    forget_other_programs(kept)
    assert kept == environ
