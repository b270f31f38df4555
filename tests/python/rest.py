"""The client of the `kubernetes` package."""

import json

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from common import NAMESPACE, Refused


def translated(request):
    """Carries a request out; a refusal becomes a `Refused`."""
    try:
        return request()
    except ApiException as error:
        status = json.loads(error.body)
        causes = (status.get("details") or {}).get("causes") or []
        raise Refused(error.status, status["reason"], [cause["field"] for cause in causes]) from error


class Client:
    def __init__(self, kubeconfig):
        self.api = config.new_client_from_config(kubeconfig)
        self.core, self.apps = client.CoreV1Api(self.api), client.AppsV1Api(self.api)

    def _json(self, request):
        return self.api.sanitize_for_serialization(translated(request))

    def _call(self, verb, resource):
        apis = {"configmaps": (self.core, "config_map"), "deployments": (self.apps, "deployment"), "pods": (self.core, "pod")}
        api, name = apis[resource]
        return getattr(api, f"{verb}_namespaced_{name}")

    def version(self):
        return client.VersionApi(self.api).get_code().git_version

    def create(self, resource, body):
        return self._json(lambda: self._call("create", resource)(NAMESPACE, body))

    def get(self, resource, name):
        return self._json(lambda: self._call("read", resource)(name, NAMESPACE))

    def list(self, resource, selector):
        return self._json(lambda: self._call("list", resource)(NAMESPACE, label_selector=selector))["items"]

    def patch(self, resource, name, body):
        return self._json(lambda: self._call("patch", resource)(name, NAMESPACE, body))

    def update(self, resource, body):
        return self._json(lambda: self._call("replace", resource)(body["metadata"]["name"], NAMESPACE, body))

    def delete(self, resource, name):
        translated(lambda: self._call("delete", resource)(name, NAMESPACE))

    def scale(self, name, replicas):
        """Scales a deployment; returns how many replicas it had."""
        scale = translated(lambda: self.apps.read_namespaced_deployment_scale(name, NAMESPACE))
        before, scale.spec.replicas = scale.spec.replicas, replicas
        # Whatever else has changed since.
        scale.metadata.resource_version = None
        translated(lambda: self.apps.replace_namespaced_deployment_scale(name, NAMESPACE, scale))
        return before

    def log(self, pod):
        return translated(lambda: self.core.read_namespaced_pod_log(pod, NAMESPACE))

    def watch_pods(self, selector, seconds):
        stream = watch.Watch().stream(
            self.core.list_namespaced_pod, NAMESPACE, label_selector=selector, timeout_seconds=seconds
        )
        for event in stream:
            yield event["type"], event["raw_object"]
