"""A genuine Kubernetes node for tests, on Linux and as root: what is scheduled there really runs.

A test asks for the fixture ``real_node`` and gets a :class:`RealNode`, one for the test run:
the embedded platform's control plane, and beside it kubelet, kube-proxy, containerd, runc,
CNI plugins, CoreDNS and a provisioner of volumes, all genuine, in namespaces of their own.
Nothing of the machine is changed, ``localhost`` is the node's own, with all ports free,
and all of it goes with the test run, however that ends.

An environment reaches it as any cluster that somebody else runs::

    platform = im.Existing(kubeconfig=str(real_node.kubeconfig), context=real_node.context)

Images are made here, from files of the machine; see ``workloads`` for Kafka, Traefik, a website::

    real_node.load(website("docker.io/demo/hello:1", "hello"))
    real_node.load(traefik())

What is published is reached from outside at ``real_node.address``; host ports (CNI's portmap) and
node ports (kube-proxy) are open at ``localhost`` too, for whoever is on the node's network::

    with real_node.network():                       # sockets of this thread
        urllib.request.urlopen("http://localhost/")
    real_node.run("curl", "--cacert", ca, "https://localhost/")     # programs, browsers

So Traefik on 80 and 443 is ``load(traefik())``, a border that publishes host ports, ``up``.
"""

from tests.real_node.images import Image
from tests.real_node.node import MissingNodeError, RealNode, node_required, running_node
from tests.real_node.system import BUSYBOX, busybox

__all__ = (
    "BUSYBOX",
    "Image",
    "MissingNodeError",
    "RealNode",
    "busybox",
    "node_required",
    "running_node",
)
