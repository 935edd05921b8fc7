"""Pseudonyms: keyed hashes of the ids that files have, so that the registry holds no name.

The key is a file of its own beside the registry, or where ``--key`` says. Who has it can find a person by his id again;
who has the registry alone cannot, not even by trying all ids. It is in no backup.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from crosstalk.errors import OutputError, RegistryError, UsageError
from crosstalk.limits import shown
from crosstalk.registry.database import Registry

__all__ = ["VARIABLE", "Key", "key_of"]

VARIABLE = "CROSSTALK_REGISTRY_KEY"
"""Environment variable that names the file of the key."""
PSEUDONYM = re.compile("CT-[A-Z2-7]{12}")
_KEY = re.compile("[0-9a-f]{64}")


class Key:
    """The secret that makes pseudonyms of ids; it never shows itself.

    Examples
    --------
    >>> key = Key(bytes(32))
    >>> key.pseudonym("patient 1") == key.pseudonym("patient 1") != key.pseudonym("patient 2")
    True
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def pseudonym(self, person: str) -> str:
        """Return ``CT-`` and twelve letters; of a pseudonym itself, the same."""
        if PSEUDONYM.fullmatch(person):
            return person
        return "CT-" + base64.b32encode(self._digest("person", person))[:12].decode()

    @property
    def check(self) -> str:
        """What tells one key from another without giving it away."""
        return self._digest("check", "").hex()[:16]

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self._secret, f"{purpose}\n{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def key_of(registry: Registry, path: Path | None = None, *, create: bool = False) -> Key:
    """The key of a registry.

    Parameters
    ----------
    path : Path, optional
        By default what ``CROSSTALK_REGISTRY_KEY`` names, else the file beside an SQLite registry with ``.key`` added.
    create : bool
        Make it where there is none.

    Raises
    ------
    RegistryError
        If there is none, or the file holds none.
    UsageError
        If none is named for a registry that is no file.
    """
    named = path or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is None:
        if registry.path is None:
            raise UsageError("a registry that is no file has no place for its key; name a file with --key")
        named = registry.path.with_name(f"{registry.path.name}.key")
    if not named.exists() and create:
        try:
            descriptor = os.open(named, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        except FileExistsError:  # another process was quicker
            pass
        except OSError as error:
            raise OutputError(f"{named}: cannot be made ({error.strerror}); name another place with --key") from error
    try:
        text = named.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RegistryError(
            f"{named}: the key of the registry cannot be read ({reason}); name it with --key, or use pseudonyms"
        ) from None
    if not _KEY.fullmatch(text):
        raise RegistryError(f"{named}: holds no key of a registry ({shown(text, 4)}); expected 64 hexadecimal digits")
    return Key(bytes.fromhex(text))
