# ruff: noqa: E501 - each expectation is one whole message
from __future__ import annotations

from collections.abc import Callable

Faults = Callable[[str], list[str]]

_SERVICE = """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {orders: }
        === services/orders/service.yaml
        format: infometis.io/service/v1
        name: orders
        uses: [external.orders-db]
"""


def test_an_undeclared_system(faults: Faults) -> None:
    """An environment that lacks what a service uses is refused, with both places and the nearest name."""
    assert faults(
        _SERVICE
        + """
        === environments/dev.yaml
        format: infometis.io/environment/v1
        mode: shared
        external:
          order-db: {addresses: [192.0.2.10], port: 5432}
        === environments/prod.yaml
        format: infometis.io/environment/v1
        """
    ) == [
        "environments/dev.yaml:3 external | service 'orders' (services/orders/service.yaml:3) uses external.orders-db, which environment 'dev' does not declare | order-db",
        "environments/prod.yaml:1 external | service 'orders' (services/orders/service.yaml:3) uses external.orders-db, which environment 'prod' does not declare",
    ]


def test_systems_that_cannot_be_reached(faults: Faults) -> None:
    """What the API server would refuse, and what nothing leads to, is told with its line."""
    assert faults(
        _SERVICE
        + """
        === environments/dev.yaml
        format: infometis.io/environment/v1
        external:
          orders-db: {addresses: [192.0.2.10], port: 5432}
          Caps: {addresses: [192.0.2.10], port: 1}
          orders: {addresses: [192.0.2.10], port: 1}
          neither: {port: 1}
          both: {addresses: [192.0.2.10], host: db.example, port: 1}
          named: {host: db.example, port: 1}
          odd:
            addresses:
              - 127.0.0.1
              - 169.254.1.1
              - fe80::1
              - 0.0.0.0
              - 224.0.0.1
              - ::ffff:192.0.2.1
              - 2001:DB8::1
              - db.example
            port: 70000
            target_port: -1
            protocol: kafak
          ways:
            addresses: [192.0.2.10]
            port: 80
            protocol: tcp
            tls: {originate: true, ca: "file:ca.pem"}
            check: {path: health, status: 200}
            credentials: {ca.crt: "file:ca.pem", user name: generated}
        """
    ) == [
        "environments/dev.yaml:4 external.Caps | not a DNS label",
        "environments/dev.yaml:5 external.orders | 'orders' is a service, and names lead to one of both only",
        "environments/dev.yaml:6 external.neither | is known by its addresses or by its host",
        "environments/dev.yaml:7 external.both | is known by its addresses or by its host",
        "environments/dev.yaml:7 external.both.host | only the egress proxy of a border leads to a name, and this environment has no border",
        "environments/dev.yaml:8 external.named.host | only the egress proxy of a border leads to a name, and this environment has no border",
        "environments/dev.yaml:11 external.odd.addresses[0] | a loopback address, which is another one on every node",
        "environments/dev.yaml:12 external.odd.addresses[1] | a link-local address",
        "environments/dev.yaml:13 external.odd.addresses[2] | a link-local address",
        "environments/dev.yaml:14 external.odd.addresses[3] | the unspecified address",
        "environments/dev.yaml:15 external.odd.addresses[4] | a multicast address",
        "environments/dev.yaml:16 external.odd.addresses[5] | an IPv4 address in the form of IPv6",
        "environments/dev.yaml:17 external.odd.addresses[6] | not written as 2001:db8::1",
        "environments/dev.yaml:18 external.odd.addresses[7] | not an IP address",
        "environments/dev.yaml:19 external.odd.port | not a port",
        "environments/dev.yaml:20 external.odd.target_port | not a port",
        "environments/dev.yaml:21 external.odd.protocol | unknown word 'kafak' | kafka",
        "environments/dev.yaml:26 external.ways.tls.originate | the egress proxy is in the way only of what is known by its host",
        "environments/dev.yaml:26 external.ways.tls.ca | the key ca.crt is given twice",
        "environments/dev.yaml:27 external.ways.check.status | tcp has no status",
        "environments/dev.yaml:27 external.ways.check.path | not a path",
        "environments/dev.yaml:28 external.ways.credentials.user name | not a key",
        "environments/dev.yaml:28 external.ways.credentials.user name | the system knows nothing of what is made up here",
    ]


def test_one_port_everywhere(faults: Faults) -> None:
    """The core finds a system under one port; what differs out there is its target port."""
    assert faults(
        _SERVICE
        + """
        === environments/dev.yaml
        format: infometis.io/environment/v1
        external:
          orders-db: {addresses: [192.0.2.10], port: 5432}
        === environments/prod.yaml
        format: infometis.io/environment/v1
        external:
          orders-db: {addresses: [192.0.2.11], port: 6432}
        """
    ) == [
        "environments/dev.yaml:3 external.orders-db.port | services find 'orders-db' under one port everywhere, and environment 'prod' says 6432",
        "environments/prod.yaml:3 external.orders-db.port | services find 'orders-db' under one port everywhere, and environment 'dev' says 5432",
    ]


def test_the_reserved_word(faults: Faults) -> None:
    """No service takes the first word of external systems, and each of them has a name."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {external: , a: }
        === services/external/service.yaml
        format: infometis.io/service/v1
        name: external
        === services/a/service.yaml
        format: infometis.io/service/v1
        name: a
        uses: [external]
        """
    ) == [
        "services/a/service.yaml:3 uses | 'external' names no system",
        "services/external/service.yaml:2 name | 'external' stands for systems outside the stack, not for a service",
    ]
