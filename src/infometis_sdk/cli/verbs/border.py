"""``border`` and ``trust``: what the outside finds, and the authority behind its certificates."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, Verb, shared_options, verb
from infometis_sdk.cli.results import emit, show, write

__all__ = ("border", "trust")

BROKEN = 5

_ADVICE = """\
{certificate}

An authority of this machine, good for names below {domain} alone. Nothing is changed by this
command; whoever trusts the file above trusts the certificates of {environment}:

  curl      curl --cacert {certificate} URL
  Debian    sudo cp {certificate} /usr/local/share/ca-certificates/infometis-{domain}.crt
            sudo update-ca-certificates
  Fedora    sudo trust anchor {certificate}
  macOS     sudo security add-trusted-cert -d -r trustRoot \\
              -k /Library/Keychains/System.keychain {certificate}
  Windows   certutil -addstore -user Root {certificate}
  Chromium  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n infometis-{domain} \\
              -i {certificate}
  Firefox   Settings, Privacy & Security, View Certificates, Authorities, Import
"""


@click.group("border", short_help="Prove what the outside finds.")
def border() -> None:
    """Look at the border of an environment from outside."""


border.params += shared_options(hidden=True)


@border.command("verify", cls=Verb)
@click.pass_obj
def verify(options: Options) -> int:
    """Prove from outside that every route answers as promised.

    The border is asked what it loaded, and each route for an answer: status, certificate,
    authentication, headers. What cannot be asked from here is unproven, never passed.
    Ends with exit code 5 where a promise is broken.
    """
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"verify {stack.name}", acts=False) as run:
        report = stack.verify_border(run=run)
    show(report, options)
    return 0 if report.ok else BROKEN


@verb("trust", short_help="Show how to trust the development certificates.")
def trust(options: Options) -> None:
    """Print the development authority's certificate and how to trust it; changes nothing."""
    from infometis_sdk.workspace.publishing import trusted_authority

    stack = session.stack(options)
    found = trusted_authority(stack)
    domain = stack.environment.border.domain
    if options.output != "text":
        emit({"certificate": str(found.certificate), "domain": domain}, options)
        return
    told = {"certificate": found.certificate, "domain": domain, "environment": stack.name}
    write(_ADVICE.format(**told))
