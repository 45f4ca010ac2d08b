"""One template, one node or many: what scale and border parameters make of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from tests.unit.catalogue.stacks import PROD, Values, objects, one, rendered, services

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.inputs.rename import renamed
from infometis_sdk.engine.objects.quantity import mebibytes
from infometis_sdk.engine.render import render
from infometis_sdk.engine.templates.configfile import parse_config
from infometis_sdk.errors import RenderError
from infometis_sdk.model import Environment, Project

if TYPE_CHECKING:
    from infometis_sdk.model import Parameter


def config(service: str, file: str, values: Values | None = None, **options: Any) -> dict[str, Any]:
    """Return a rendered configuration file as keys and values."""
    data = one("ConfigMap", f"{service}-config", values or {}, **options)["data"]
    return parse_config(file, data[file])


def environment(service: str, container: str, values: Values | None = None) -> dict[str, Any]:
    """Return the plain environment of a container."""
    pod = one("StatefulSet", service, values or {})["spec"]["template"]["spec"]
    found = [
        c for c in (*pod.get("initContainers", ()), *pod["containers"]) if c["name"] == container
    ]
    return {variable["name"]: variable.get("value") for variable in found[0]["env"]}


def refusal(values: Values) -> str:
    """Return why values that are legal one by one are refused together."""
    with pytest.raises(RenderError) as caught:
        rendered(values)
    assert all(fault.origin.file.endswith("statefulset.yaml.j2") for fault in caught.value.faults)
    return "; ".join(fault.message for fault in caught.value.faults)


# --- Kafka ------------------------------------------------------------------------------------


def test_kafka_voters_are_the_first_pods() -> None:
    """The quorum is the first pods by the names that their headless Service gives them."""
    few = config("kafka", "server.properties")
    many = config("kafka", "server.properties", {"kafka": {"controllers": 3, "replicas": 5}})
    assert few["controller.quorum.voters"] == "0@kafka-0.kafka-headless:9093"
    assert many["controller.quorum.voters"] == ",".join(
        f"{n}@kafka-{n}.kafka-headless:9093" for n in range(3)
    )


def test_kafka_copies_follow_the_voters() -> None:
    """Three voters mean three copies, two of them in sync; one means one; both can be set."""
    keys = (
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "share.coordinator.state.topic.replication.factor",
        "min.insync.replicas",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.min.isr",
    )

    def copies(**values: Any) -> list[str]:
        found = config("kafka", "server.properties", {"kafka": values})
        return [found[key] for key in keys]

    assert copies() == ["1"] * 7
    assert copies(controllers=3, replicas=3) == ["3"] * 4 + ["2"] * 3
    assert copies(replicas=3, replication_factor=2) == ["2"] * 4 + ["1"] * 3
    assert copies(controllers=3, replicas=3, min_insync_replicas=1) == ["3"] * 4 + ["1"] * 3


def test_kafka_scaling_out_restarts_nobody() -> None:
    """Another broker changes the number of replicas and nothing else."""
    before = objects({"kafka": {"controllers": 3, "replicas": 3}})
    after = objects({"kafka": {"controllers": 3, "replicas": 4}})
    assert [
        a for a, b in zip(before, after, strict=True) if a["kind"] != "StatefulSet" and a != b
    ] == []
    left, right = (
        one("StatefulSet", "kafka", {"kafka": {"controllers": 3, "replicas": n}}) for n in (3, 4)
    )
    assert left["spec"]["template"] == right["spec"]["template"]


def test_kafka_data_is_below_the_root_of_the_volume() -> None:
    """The log directory is no root of a volume: lost+found there would stop the broker."""
    mounts = one("StatefulSet", "kafka")["spec"]["template"]["spec"]["containers"][0][
        "volumeMounts"
    ]
    root = next(mount["mountPath"] for mount in mounts if mount["name"] == "data")
    assert config("kafka", "server.properties")["log.dirs"].startswith(f"{root}/")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"replicas": 2, "controllers": 3}, "replicas is 2, fewer than the 3 controllers"),
        (
            {"replicas": 1, "replication_factor": 2},
            "replication_factor is 2, more than the 1 replicas",
        ),
        ({"min_insync_replicas": 2}, "min_insync_replicas is 2, more than the 1 copies"),
        ({"heap": "1Gi"}, "heap is 1Gi, not smaller than the memory of 1Gi"),
    ],
)
def test_kafka_refuses_what_does_not_fit_together(values: dict[str, Any], why: str) -> None:
    """A cluster that could not work is refused with the numbers that clash."""
    assert why in refusal({"kafka": values})


@pytest.mark.parametrize(
    ("memory", "heap", "expected"), [("1Gi", None, 512), ("8Gi", None, 4096), ("8Gi", "3Gi", 3072)]
)
def test_kafka_heap(memory: str, heap: str | None, expected: int) -> None:
    """The heap is half of the memory unless it is set."""
    options = environment("kafka", "kafka", {"kafka": {"memory": memory, "heap": heap}})
    assert options["KAFKA_HEAP_OPTS"] == f"-Xms{expected}m -Xmx{expected}m"


def test_settings_of_a_project_win() -> None:
    """Extra settings of the project are core, are added, and win over the template's own."""
    project = {
        "kafka": {"config": {"log.retention.hours": 72, "num.partitions": 6}},
        "elasticsearch": {"config": {"http.max_content_length": "50mb", "http.port": 9201}},
        "nifi": {
            "config": {"nifi.web.should.send.server.version": True, "nifi.ui.banner.text": "A=B"}
        },
        "grafana": {"config": {"users": {"viewers_can_edit": True}, "log": {"mode": "file"}}},
    }
    kafka = config("kafka", "server.properties", project=project)
    assert (kafka["log.retention.hours"], kafka["num.partitions"]) == ("72", "6")
    elastic = config("elasticsearch", "elasticsearch.yml", project=project)
    assert (elastic["[http.max_content_length]"], elastic["[http.port]"]) == ("50mb", 9201)
    nifi = config("nifi", "nifi.properties", project=project)
    assert nifi["nifi.web.should.send.server.version"] == "true"
    assert nifi["nifi.ui.banner.text"] == "A=B"
    grafana = config("grafana", "grafana.ini", project=project)
    assert (grafana["users.viewers_can_edit"], grafana["log.mode"]) == ("true", "file")
    assert grafana["users.allow_sign_up"] == "false"


# --- Elasticsearch ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        (1, "elasticsearch-0"),
        (2, "elasticsearch-0,elasticsearch-1"),
        (3, "elasticsearch-0,elasticsearch-1,elasticsearch-2"),
        (7, "elasticsearch-0,elasticsearch-1,elasticsearch-2"),
    ],
)
def test_elasticsearch_is_founded_by_the_first_nodes(replicas: int, expected: str) -> None:
    """The first three nodes at most found the cluster; the settings file never names them."""
    values = {"elasticsearch": {"replicas": replicas}}
    assert environment("elasticsearch", "prepare", values)["INITIAL_MASTER_NODES"] == expected
    settings_ = config("elasticsearch", "elasticsearch.yml", values)
    assert not [
        key for key in settings_ if "initial_master_nodes" in key or "discovery.type" in key
    ]


def test_elasticsearch_settings_are_the_same_for_one_node_and_many() -> None:
    """Others can join a single node as it is: a restart for that would wait for them for ever."""
    one_node = one("ConfigMap", "elasticsearch-config")["data"]
    many = one("ConfigMap", "elasticsearch-config", {"elasticsearch": {"replicas": 5}})["data"]
    assert one_node == many
    settings_ = parse_config("elasticsearch.yml", one_node["elasticsearch.yml"])
    assert settings_["[xpack.security.transport.ssl.enabled]"] is True
    assert settings_["[xpack.security.http.ssl.enabled]"] is False
    assert settings_["[discovery.seed_hosts][0]"] == "elasticsearch-headless"


def test_elasticsearch_reads_keys_below_its_config() -> None:
    """Certificates lie below the config folder, from where alone Elasticsearch may read them."""
    found = config("elasticsearch", "elasticsearch.yml")
    pod = one("StatefulSet", "elasticsearch")["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert mounts["tls"] == f"{mounts['config']}/certs"
    for key in ("key", "certificate"):
        assert found[f"[xpack.security.transport.ssl.{key}]"].startswith("certs/")


def test_elasticsearch_refuses_a_heap_above_half() -> None:
    """A heap of more than half of the memory leaves too little beside it."""
    assert "more than half" in refusal({"elasticsearch": {"memory": "2Gi", "heap": "1100Mi"}})
    assert environment("elasticsearch", "elasticsearch").get("ES_JAVA_OPTS") is None


# --- NiFi -------------------------------------------------------------------------------------


def test_nifi_cluster_needs_to_be_asked_for() -> None:
    """Several nodes are a cluster, which is chosen when the service is made."""
    assert "several nodes need clustered: true" in refusal({"nifi": {"replicas": 2}})


def test_nifi_cluster_of_one_and_of_many() -> None:
    """A cluster may start with one node; more nodes restart nobody."""
    left, right = (
        one("StatefulSet", "nifi", {"nifi": {"clustered": True, "replicas": n}}) for n in (1, 3)
    )
    assert left["spec"]["template"] == right["spec"]["template"]


def test_nifi_standalone_and_cluster() -> None:
    """A cluster gets its Role, a token and sticky sessions; a standalone node none of them."""
    clustered = {"nifi": {"clustered": True, "replicas": 3}}
    for values, expected in (({}, False), (clustered, True)):
        found = config("nifi", "nifi.properties", values)
        assert found["nifi.cluster.is.node"] == str(expected).lower()
        assert environment("nifi", "nifi", values)["CLUSTERED"] == str(expected).lower()
        names = {(o["kind"], o["metadata"]["name"]) for o in objects(values)}
        assert (("Role", "nifi") in names) == (("RoleBinding", "nifi") in names) == expected
        assert ("sessionAffinity" in one("Service", "nifi", values)["spec"]) == expected


def test_nifi_flow_and_repositories_lie_on_the_volume() -> None:
    """Everything that must outlive a pod is a path below the mount of the volume."""
    found = config("nifi", "nifi.properties")
    pod = one("StatefulSet", "nifi")["spec"]["template"]["spec"]
    root = next(m["mountPath"] for m in pod["containers"][0]["volumeMounts"] if m["name"] == "data")
    durable = [
        value
        for key, value in found.items()
        if "directory" in key
        or key in ("nifi.flow.configuration.file", "nifi.flow.configuration.archive.dir")
    ]
    assert len(durable) >= 11
    assert all(value.startswith(f"{root}/") for value in durable)
    state = one("ConfigMap", "nifi-config")["data"]["state-management.xml"]
    assert f"{root}/state/local" in state


def test_nifi_is_told_where_it_is_published() -> None:
    """The border's host and path reach NiFi, which refuses others."""
    found = config(
        "nifi",
        "nifi.properties",
        {"nifi": {"public_host": "nifi.example.com:8444", "public_context": "/a"}},
    )
    assert found["nifi.web.proxy.host"] == "nifi.example.com:8444"
    assert found["nifi.web.proxy.context.path"] == "/a"


def test_nifi_flows_find_their_neighbours() -> None:
    """Flows reach Kafka and Elasticsearch by the same two variables in every environment."""
    found = environment("nifi", "nifi")
    assert found["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert found["ELASTICSEARCH_URL"] == "http://elasticsearch:9200"


# --- Grafana ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "root", "sub_path", "secure"),
    [
        (None, "http://localhost:3000/", "false", "false"),
        ("https://g.example.com", "https://g.example.com", "false", "true"),
        ("https://g.example.com/", "https://g.example.com/", "false", "true"),
        (
            "http://g.example.com:8080/grafana/",
            "http://g.example.com:8080/grafana/",
            "true",
            "false",
        ),
        ("https://g.example.com/a/b", "https://g.example.com/a/b", "true", "true"),
    ],
)
def test_grafana_serves_below_its_public_path(
    url: str | None, root: str, sub_path: str, secure: str
) -> None:
    """Grafana serves below the path of its public URL itself, with secure cookies behind TLS."""
    found = config("grafana", "grafana.ini", {"grafana": {"public_url": url}})
    assert found["server.root_url"] == root
    assert found["server.serve_from_sub_path"] == sub_path
    assert found["security.cookie_secure"] == secure


def test_grafana_reaches_elasticsearch_as_its_reader() -> None:
    """The data source uses the read-only user, whose password comes from its Secret."""
    source = config("grafana", "datasources.yaml")
    where = "datasources[name=Elasticsearch]"
    assert source[f"{where}.url"] == "http://elasticsearch:9200"
    assert source[f"{where}.basicAuthUser"] == "$ELASTICSEARCH_USERNAME"
    assert source[f"{where}.secureJsonData.basicAuthPassword"] == "$ELASTICSEARCH_PASSWORD"
    pod = one("StatefulSet", "grafana")["spec"]["template"]["spec"]
    keys = {v["name"]: v.get("valueFrom") for v in pod["containers"][0]["env"]}
    assert keys["ELASTICSEARCH_PASSWORD"] == {
        "secretKeyRef": {"name": "elasticsearch-reader", "key": "password"}
    }


def test_grafana_downloads_nothing() -> None:
    """The data source's plug-in is in the image; Grafana neither replaces it nor calls home."""
    found = config("grafana", "grafana.ini")
    assert found["plugins.preinstall_disabled"] == "true"
    assert found["analytics.reporting_enabled"] == found["analytics.check_for_updates"] == "false"


# --- all --------------------------------------------------------------------------------------


def legal(name: str, parameter: Parameter) -> st.SearchStrategy[Any]:
    """Return legal values of a parameter."""
    options: st.SearchStrategy[Any]
    if parameter.choices:
        options = st.sampled_from(parameter.choices)
    elif parameter.type == "integer":
        options = st.integers(int(str(parameter.min or 0)), int(str(parameter.max or 50)))
    elif parameter.type == "boolean":
        options = st.booleans()
    elif parameter.type == "quantity":
        low = mebibytes(parameter.min) if parameter.min and "cpu" not in name else 100
        unit = "m" if "cpu" in name else "Mi"
        options = st.integers(low, 64 * 1024).map(lambda n: f"{n}{unit}")
    elif parameter.type == "list":
        options = st.lists(
            st.fixed_dictionaries({"key": st.sampled_from("ab"), "operator": st.just("Exists")})
        )
    elif parameter.type == "map":
        options = st.dictionaries(
            st.sampled_from(["disk", "example.com/zone"]), st.sampled_from("xy")
        )
    else:
        options = st.from_regex(parameter.pattern, fullmatch=True)
    return st.none() | options if parameter.optional else options


@st.composite
def environments(draw: st.DrawFn) -> Values:
    """Draw what an environment may set, of every service."""
    values: dict[str, dict[str, Any]] = {}
    for service in services().values():
        offered = {n: p for n, p in service.parameters.items() if p.scope != "core"}
        chosen = draw(st.lists(st.sampled_from(sorted(offered)), unique=True))
        values[service.name] = {name: draw(legal(name, offered[name])) for name in chosen}
    return values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments())
def test_legal_values_render_or_are_refused_with_a_reason(values: Values) -> None:
    """Whatever an environment may set stays within what is declared, or clashes by name."""
    try:
        made = rendered(values)
    except RenderError as error:
        # The templates' own refusals name a parameter first; influence faults do not.
        for fault in error.faults:
            assert fault.message.split(" is ")[0] in (
                "replicas",
                "replication_factor",
                "min_insync_replicas",
                "heap",
            )
        return
    assume(made.manifests)
    assert made == rendered(values)


def test_dev_and_prod_have_the_same_core() -> None:
    """A laptop and a production cluster run the same core: their digests are equal."""
    dev, prod = rendered(), rendered(PROD)
    assert dev.digests == prod.digests


def test_a_service_runs_under_another_name() -> None:
    """A project may run a service twice; the second one's names all follow its own."""
    second = renamed(services()["kafka"], "events")
    project = Project(name="demo", services={"kafka": services()["kafka"], "events": second})
    values = dict.fromkeys(project.services, PROD["kafka"])
    made = render(compose(project, Environment("env", values=values)))
    names = {m.ref.name for m in made.manifests if m.service == "events"}
    assert names == {"events", "events-config", "events-headless"}
    found = next(m.object["data"] for m in made.manifests if m.ref.name == "events-config")
    assert "1@events-1.events-headless:9093" in found["server.properties"]
