"""A small program that uses a cluster through whatever client it is given, and prints what it sees.

Usage: program.py (rest|grpc) KUBECONFIG IMAGE [GENERATED]

`rest` is the `kubernetes` package; `grpc` is the code that protoc generates from proto/ into the folder GENERATED. Both
must print the same. A client offers the same few methods; objects are dictionaries, as JSON has them, and a refusal is
a `Refused`.
"""

import sys

from common import NAMESPACE, Refused

PATIENCE_SECONDS = 60


def settings(greeting):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": NAMESPACE},
        "data": {"greeting": greeting},
    }


def deployment(image, replicas):
    labels = {"app": "python"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "python", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "web", "image": image}],
                },
            },
        },
    }


def refusal(request):
    """How the server refuses a request; it is a fault if it does not."""
    try:
        request()
    except Refused as refused:
        fields = f" at {', '.join(refused.fields)}" if refused.fields else ""
        return f"{refused.code} {refused.reason}{fields}"
    raise AssertionError("the request was carried out")


def wait_for_running(client, count):
    """Watches until `count` pods run and no others are there; returns their names."""
    for _ in client.watch_pods("app=python", PATIENCE_SECONDS):
        # The first events are one pod each: only a list says that there are no others.
        pods = client.list("pods", "app=python")
        if len(pods) == count and all(pod.get("status", {}).get("phase") == "Running" for pod in pods):
            return sorted(pod["metadata"]["name"] for pod in pods)
    raise TimeoutError(f"{count} running pods were not seen")


def run(client, image):
    print("version", client.version())

    made = client.create("configmaps", settings("hello"))
    print("created", made["metadata"]["name"], made["data"])
    print("again:", refusal(lambda: client.create("configmaps", settings("hello"))))
    changed = client.patch("configmaps", "settings", {"data": {"greeting": "bye"}})
    print("patched", changed["data"])
    print("from an old revision:", refusal(lambda: client.update("configmaps", made)))
    changed["data"]["more"] = "yes"
    # Sorted: neither JSON nor protobuf says in which order a map comes.
    print("updated", dict(sorted(client.update("configmaps", changed)["data"].items())))

    print("wrong:", refusal(lambda: client.create("deployments", deployment(image, -1))))
    client.create("deployments", deployment(image, 2))
    print("running", len(wait_for_running(client, 2)))
    print("scaled from", client.scale("python", 1))
    (pod,) = wait_for_running(client, 1)
    print("log", client.log(pod).strip())
    print("listed", len(client.list("pods", "app=python")))

    client.delete("deployments", "python")
    client.delete("configmaps", "settings")
    print("gone:", refusal(lambda: client.get("configmaps", "settings")))


def main():
    how, kubeconfig, image, *generated = sys.argv[1:]
    if how == "rest":
        from rest import Client
    elif how == "grpc":
        sys.path.insert(0, generated[0])
        from resources import Client
    else:
        sys.exit(__doc__)
    run(Client(kubeconfig), image)


if __name__ == "__main__":
    main()
