"""A certificate authority for one cluster: what ca.crt of a service account holds."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAYS = timedelta(days=365)


class Authority:
    """Signs the certificates of one cluster's API endpoint."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("kubernetes")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        public = self._key.public_key()
        mine = x509.SubjectKeyIdentifier.from_public_key(public)
        self._root = (
            self._draft(self._name, public)
            .add_extension(basic, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(mine, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return self._root.public_bytes(Encoding.PEM).decode()

    def server(self, addresses: Sequence[IPv4Address | IPv6Address]) -> ssl.SSLContext:
        """Give a server's context with a certificate for these addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads chains from files alone.
        with TemporaryDirectory() as folder:
            chain = Path(folder) / "chain.pem"
            chain.write_text(self.issue("kube-apiserver", addresses=addresses))
            context.load_cert_chain(chain)
        return context

    def issue(
        self,
        name: str,
        *,
        groups: Sequence[str] = (),
        addresses: Sequence[IPv4Address | IPv6Address] = (),
    ) -> str:
        """Give a new private key and its certificate, PEM, the key first.

        Args:
            name: a user's or a server's.
            groups: of a user; Kubernetes reads them from the organizations (kubernetes.io,
                "Authenticating", "X509 client certificates").
            addresses: of a server.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        draft = self._draft(_named(name, groups), key.public_key())
        if addresses:
            names = x509.SubjectAlternativeName([x509.IPAddress(one) for one in addresses])
            draft = draft.add_extension(names, critical=False)
        certificate = draft.add_extension(signer, critical=False).sign(self._key, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (private + certificate.public_bytes(Encoding.PEM)).decode()

    def _draft(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            # A clock that is set back a little must not make it invalid.
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + _DAYS)
        )


def _named(name: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])
