"""The mails DocuVault sends: each as text and as HTML, from plain values. Values come from people: the HTML escapes them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape

RESET_LINK_LIFETIME = timedelta(hours=1)
INVITATION_LIFETIME = timedelta(days=7)


class UnknownTemplate(Exception):
    """There is no mail of that name."""


@dataclass(frozen=True)
class MailContent:
    """Subject and paragraphs; `link` is shown as a button and in full."""

    subject: str
    paragraphs: tuple[str, ...]
    link: str | None = None
    link_text: str = ""

    @property
    def text(self) -> str:
        """The plain part."""
        parts = list(self.paragraphs)
        if self.link:
            parts.insert(1, self.link)
        return "\n\n".join(parts) + "\n\n-- \nDocuVault\n"

    @property
    def html(self) -> str:
        """The HTML part: no images, no scripts, nothing from elsewhere."""
        parts = [f"<p>{escape(paragraph)}</p>" for paragraph in self.paragraphs]
        if self.link:
            href = escape(self.link, quote=True)
            button = "display:inline-block;padding:10px 18px;background:#1f4f8f;color:#fff;text-decoration:none;border-radius:6px"
            parts.insert(1, f'<p><a href="{href}" style="{button}">{escape(self.link_text)}</a></p><p>{escape(self.link)}</p>')
        body = "\n".join(parts)
        font = "font-family:system-ui,sans-serif;font-size:16px;line-height:1.5;max-width:36em;margin:2em auto;padding:0 1em"
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.subject)}</title></head>\n"
            f'<body style="{font}">\n{body}\n<p style="color:#666">DocuVault</p>\n</body></html>\n'
        )


def render(template: str, values: Mapping[str, str]) -> MailContent:
    """The content of a mail. Raises UnknownTemplate, and KeyError if a value is missing."""
    try:
        make = _TEMPLATES[template]
    except KeyError:
        raise UnknownTemplate(template) from None
    return make(values)


def _welcome(values: Mapping[str, str]) -> MailContent:
    return MailContent(
        "Your DocuVault account",
        (
            "An account was made for this address.",
            "You can sign in with the password that was chosen.",
            "If it was not you, ask for a new password and the account is yours alone.",
        ),
        values["url"],
        "Open DocuVault",
    )


def _already_registered(values: Mapping[str, str]) -> MailContent:
    return MailContent(
        "You already have a DocuVault account",
        (
            "Somebody, perhaps you, tried to register with this address. You have an account already; nothing was changed.",
            "If you forgot the password, ask for a new one on the sign-in page. If it was not you, there is nothing to do.",
        ),
        values["url"],
        "Open DocuVault",
    )


def _password_reset(values: Mapping[str, str]) -> MailContent:
    return MailContent(
        "Choose a new password",
        (
            f"Somebody, perhaps you, asked for a new password for this address. The link is good once, for {_time(RESET_LINK_LIFETIME)}:",
            "All sessions and API tokens end when a new password is set. If it was not you, there is nothing to do: nothing was changed.",
        ),
        values["url"],
        "Choose a new password",
    )


def _invitation(values: Mapping[str, str]) -> MailContent:
    return MailContent(
        "You are invited to DocuVault",
        ("An account was made for you. Choose a password to begin:", f"The link is good once, for {_time(INVITATION_LIFETIME)}."),
        values["url"],
        "Choose a password",
    )


def _time(lifetime: timedelta) -> str:
    count, unit = (lifetime.days, "day") if lifetime.days else (lifetime.seconds // 3600, "hour")
    return f"{count} {unit}{'s' if count > 1 else ''}"


_ALERTS = {
    "refresh_token_reused": "A sign-in of your account was used from two places, so it may have been stolen. It was ended everywhere.",
    "password_changed": "The password of your account was changed.",
    "password_reset": "The password of your account was reset; all sessions and API tokens were ended.",
    "second_factor_enabled": "A second factor was switched on for your account.",
    "second_factor_disabled": "The second factor of your account was switched off.",
    "backup_codes_regenerated": "New backup codes were made for your account; the old ones are void.",
    "backup_code_used": "A backup code was used to sign in to your account.",
    "api_token_created": "An API token was made for your account. A program can use it until it expires or you revoke it.",
    "ai_provider_changed": "Your documents are read by another AI provider, address or account from now on: the AI settings were changed.",
    "system_ai_provider_changed": "The AI provider, address or account for all who chose none was changed in the settings of the system.",
    "account_deleted": "Your account was deleted at your request; your documents are being erased.",
}


def _security_alert(values: Mapping[str, str]) -> MailContent:
    where = f"It happened at {values['at']} UTC, from the address {values['address']} with “{values['user_agent']}”."
    return MailContent(
        "Security alert for your DocuVault account",
        (_ALERTS[values["what"]], where, "If this was not you, choose a new password at once."),
    )


def _cloud_connection_broken(values: Mapping[str, str]) -> MailContent:
    return MailContent(
        "DocuVault cannot reach your cloud",
        (
            f"The connection “{values['name']}” does not work any more: {values['error']}",
            "Sign in to it again under Settings, Storage:",
            "Documents that live there cannot be downloaded until then; nothing is lost, and new documents stay in DocuVault meanwhile.",
        ),
        values["url"],
        "Open the settings",
    )


_TEMPLATES: dict[str, Callable[[Mapping[str, str]], MailContent]] = {
    "welcome": _welcome,
    "already_registered": _already_registered,
    "password_reset": _password_reset,
    "invitation": _invitation,
    "security_alert": _security_alert,
    "cloud_connection_broken": _cloud_connection_broken,
}
