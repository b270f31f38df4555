"""A client of the gRPC API, written on what protoc generates from proto/."""

import base64
import json
from urllib.parse import urlparse

import grpc
import yaml
from google.protobuf.json_format import MessageToDict, ParseDict

from common import NAMESPACE, Refused
from gantry.api.v1 import resources_pb2 as api
from gantry.api.v1 import resources_pb2_grpc as services
from gantry.node.v1 import node_pb2 as node
from gantry.node.v1 import node_pb2_grpc as node_services
from k8s.io.api.apps.v1 import apps_pb2 as apps
from k8s.io.api.autoscaling.v1 import autoscaling_pb2 as autoscaling
from k8s.io.api.core.v1 import config_pb2 as configuration
from k8s.io.api.core.v1 import pod_pb2 as pods
from k8s.io.apimachinery.pkg.apis.meta.v1 import meta_pb2 as meta

# Group, version and message of each resource.
KINDS = {
    "configmaps": ("", "v1", configuration.ConfigMap),
    "deployments": ("apps", "v1", apps.Deployment),
    "pods": ("", "v1", pods.Pod),
}
TYPES = {api.EVENT_TYPE_ADDED: "ADDED", api.EVENT_TYPE_MODIFIED: "MODIFIED", api.EVENT_TYPE_DELETED: "DELETED"}


def translated(request):
    """Carries a request out; a refusal becomes a `Refused`."""
    try:
        return request()
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
        if details is None:
            raise
        status = meta.Status.FromString(details)
        fields = [cause.field for cause in status.details.causes]
        raise Refused(status.code, status.reason, fields) from error


def channel(kubeconfig):
    with open(kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    data = lambda owner, key: base64.b64decode(owner[f"{key}-data"])
    credentials = grpc.ssl_channel_credentials(
        data(cluster, "certificate-authority"), data(user, "client-key"), data(user, "client-certificate")
    )
    return grpc.secure_channel(urlparse(cluster["server"]).netloc, credentials)


class Client:
    def __init__(self, kubeconfig):
        connection = channel(kubeconfig)
        self.resources = services.ResourcesStub(connection)
        self.node = node_services.NodeStub(connection)

    def _ref(self, resource, name="", subresource=""):
        group, version, _ = KINDS[resource]
        return api.ResourceRef(
            group=group, version=version, resource=resource, namespace=NAMESPACE, name=name, subresource=subresource
        )

    def _json(self, resource, request):
        message = KINDS[resource][2]()
        translated(request).object.Unpack(message)
        return to_json(message)

    def _any(self, resource, body):
        answer = api.Object()
        answer.object.Pack(from_json(body, KINDS[resource][2]()))
        return answer.object

    def version(self):
        return translated(lambda: self.resources.Discover(api.DiscoverRequest())).git_version

    def create(self, resource, body):
        request = api.CreateRequest(ref=self._ref(resource), object=self._any(resource, body))
        return self._json(resource, lambda: self.resources.Create(request))

    def get(self, resource, name):
        request = api.GetRequest(ref=self._ref(resource, name))
        return self._json(resource, lambda: self.resources.Get(request))

    def list(self, resource, selector):
        options = meta.ListOptions(labelSelector=selector)
        answer = translated(lambda: self.resources.List(api.ListRequest(ref=self._ref(resource), options=options)))
        return [to_json(KINDS[resource][2].FromString(item)) for item in answer.items]

    def patch(self, resource, name, body):
        request = api.PatchRequest(
            ref=self._ref(resource, name), type=api.PATCH_TYPE_STRATEGIC_MERGE, patch=json.dumps(body).encode()
        )
        return self._json(resource, lambda: self.resources.Patch(request))

    def update(self, resource, body):
        name = body["metadata"]["name"]
        request = api.UpdateRequest(ref=self._ref(resource, name), object=self._any(resource, body))
        return self._json(resource, lambda: self.resources.Update(request))

    def delete(self, resource, name):
        translated(lambda: self.resources.Delete(api.DeleteRequest(ref=self._ref(resource, name))))

    def scale(self, name, replicas):
        """Scales a deployment; returns how many replicas it had."""
        ref = self._ref("deployments", name, "scale")
        scale = autoscaling.Scale()
        translated(lambda: self.resources.Get(api.GetRequest(ref=ref))).object.Unpack(scale)
        before, scale.spec.replicas = scale.spec.replicas, replicas
        # Whatever else has changed since.
        scale.metadata.resourceVersion = ""
        request = api.UpdateRequest(ref=ref)
        request.object.Pack(scale)
        translated(lambda: self.resources.Update(request))
        return before

    def log(self, pod):
        request = node.LogsRequest(container=node.ContainerRef(namespace=NAMESPACE, pod=pod))
        return translated(lambda: b"".join(piece.data for piece in self.node.Logs(request))).decode()

    def watch_pods(self, selector, seconds):
        options = meta.ListOptions(labelSelector=selector, timeoutSeconds=seconds)
        for answer in self.resources.Watch(api.WatchRequest(ref=self._ref("pods"), options=options)):
            for event in answer.events:
                yield TYPES[event.type], to_json(pods.Pod.FromString(event.object))


def to_json(message):
    """A message as a dictionary, with the names of its fields."""
    return MessageToDict(message, preserving_proto_field_name=True)


def from_json(body, message):
    """A dictionary as a message; `kind` and `apiVersion` are in the type's name."""
    fields = {key: value for key, value in body.items() if key not in ("kind", "apiVersion")}
    return ParseDict(fields, message)
