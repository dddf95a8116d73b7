"""The way to the host: ssh with a pinned host key and, where one is given, a key of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from programs import DeployError, Programs, find_program


@contextmanager
def pinned_ssh(host: str, variables: Mapping[str, str], programs: Programs) -> Iterator[tuple[str, ...]]:
    """The ssh command for the host, which takes the pinned host key only; its files last as long as the body."""
    user, port = variables.get("LIGHTSAIL_USERNAME", ""), variables.get("LIGHTSAIL_PORT") or "22"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:-]*", host):
        raise DeployError(f"{host!r} is not a host; give one as the second argument or as LIGHTSAIL_HOST")
    if not re.fullmatch(r"[a-z_][a-z0-9_.-]*", user):
        raise DeployError("LIGHTSAIL_USERNAME must name the user on the host")
    if not port.isdecimal():
        raise DeployError("LIGHTSAIL_PORT must be a number")
    known_hosts = variables.get("LIGHTSAIL_KNOWN_HOSTS", "")
    if file := variables.get("LIGHTSAIL_KNOWN_HOSTS_FILE"):
        known_hosts = Path(file).read_text()
    with tempfile.TemporaryDirectory(prefix="parlante-deploy-") as private:  # mode 0700
        hosts = _private_file(private, "known_hosts", known_hosts)
        lookup = host if port == "22" else f"[{host}]:{port}"
        if programs.ask(find_program("ssh-keygen"), "-F", lookup, "-f", hosts)[0]:
            raise DeployError(
                f"no host key is pinned for {lookup}: put its line of known_hosts into LIGHTSAIL_KNOWN_HOSTS, or its "
                "file's name into LIGHTSAIL_KNOWN_HOSTS_FILE; docs/deployment.md says where to read the key"
            )
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": hosts,
            "GlobalKnownHostsFile": "none",
            "UpdateHostKeys": "no",
            "CheckHostIP": "no",
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "8",
            "LogLevel": "ERROR",
        }
        if key := variables.get("LIGHTSAIL_SSH_KEY"):  # otherwise the keys and the agent of whoever calls
            text = key.replace("\r\n", "\n").strip() + "\n"
            options |= {
                "IdentityFile": _private_file(private, "key", text),
                "IdentitiesOnly": "yes",
                "IdentityAgent": "none",
            }
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        yield (find_program("ssh"), "-F", "none", "-T", *flags, "-p", port, "-l", user, "--", host)


def _private_file(directory: str, name: str, text: str) -> str:
    path = Path(directory, name)
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)
