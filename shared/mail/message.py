"""Building a mail (RFC 5322) with a text and an HTML part; header injection is refused."""

from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from uuid import UUID

from shared.mail.templates import MailContent

SENDER_NAME = "DocuVault"


class BadAddress(ValueError):
    """Not an address that a mail could be sent to, or one that would smuggle headers in."""


def build(content: MailContent, *, to: str, sender: str, mail_id: UUID) -> EmailMessage:
    """The message. Its Message-ID is the mail's id, so that a second copy would be known as one. Raises BadAddress."""
    from_address, to_address = _named(sender), _address(to)
    # RFC 6531: only an address whose local part is not ASCII needs a server that takes UTF-8 in headers.
    message = EmailMessage(policy=SMTP.clone(utf8=not (to_address.username.isascii() and from_address.username.isascii())))
    message["From"] = from_address
    message["To"] = to_address
    message["Subject"] = _line(content.subject)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{mail_id}@{from_address.domain}>"
    # RFC 3834: nobody's out-of-office answers this.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    return message


def _named(text: str) -> Address:
    name, address = parseaddr(_line(text))
    return _address(address, name or SENDER_NAME)


def _address(text: str, name: str = "") -> Address:
    _line(text)
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or any(character in text for character in ' ,;<>()"[]\\'):
        raise BadAddress("this is not a mail address")
    try:
        # From its parts: `addr_spec` takes no local part that is not ASCII.
        return Address(name, local, domain if domain.isascii() else domain.encode("idna").decode("ascii"))
    except (UnicodeError, HeaderParseError) as bad:
        raise BadAddress("this is not a mail address") from bad


def _line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 or character in "\u0085\u2028\u2029" for character in text):
        raise BadAddress("a header must be one line")
    return text
