"""A small operator, as one finds them: watches a custom resource, owns a Deployment for each, writes its status. Run by
test_clients.py with the system's Python and KUBECONFIG; ends with SIGTERM."""
import sys

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

GROUP, VERSION, PLURAL = "apps.example.com", "v1", "websites"
NAMESPACE, IMAGE = sys.argv[1:3]
config.load_kube_config()
custom, apps = client.CustomObjectsApi(), client.AppsV1Api()


def deployment_of(site):
    name = site["metadata"]["name"]
    labels = {"website": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [{
            "apiVersion": f"{GROUP}/{VERSION}", "kind": site["kind"], "name": name, "uid": site["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}]},
        "spec": {"replicas": site["spec"].get("replicas", 1), "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {
                     "terminationGracePeriodSeconds": 1,
                     "containers": [{"name": "web", "image": IMAGE,
                                     "env": [{"name": "TITLE", "value": site["spec"]["title"]}]}]}}}}


def reconcile(name):
    try:
        site = custom.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, name)
    except ApiException as error:
        if error.status == 404:
            return
        raise
    if site["metadata"].get("deletionTimestamp"):
        return
    wanted = deployment_of(site)
    try:
        found = apps.read_namespaced_deployment(name, NAMESPACE)
        container = found.spec.template.spec.containers[0]
        if found.spec.replicas != wanted["spec"]["replicas"] or container.env[0].value != site["spec"]["title"]:
            found = apps.patch_namespaced_deployment(name, NAMESPACE, {"spec": wanted["spec"]})
    except ApiException as error:
        if error.status != 404:
            raise
        found = apps.create_namespaced_deployment(NAMESPACE, wanted)
    status = {"readyReplicas": found.status.ready_replicas or 0,
              "observedGeneration": site["metadata"]["generation"]}
    if site.get("status") != status:
        custom.patch_namespaced_custom_object_status(GROUP, VERSION, NAMESPACE, PLURAL, name, {"status": status})


def main():
    # One loop over both kinds: a list, then the changes after it, one kind after the other in short turns.
    revisions = {"sites": "", "deployments": ""}
    listed = custom.list_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL)
    revisions["sites"] = listed["metadata"]["resourceVersion"]
    for site in listed["items"]:
        reconcile(site["metadata"]["name"])
    revisions["deployments"] = apps.list_namespaced_deployment(NAMESPACE).metadata.resource_version
    print("watching", flush=True)
    while True:
        for event in watch.Watch().stream(custom.list_namespaced_custom_object, GROUP, VERSION, NAMESPACE, PLURAL,
                                          resource_version=revisions["sites"], timeout_seconds=1):
            revisions["sites"] = event["object"]["metadata"]["resourceVersion"]
            reconcile(event["object"]["metadata"]["name"])
        for event in watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE,
                                          resource_version=revisions["deployments"], timeout_seconds=1):
            revisions["deployments"] = event["object"].metadata.resource_version
            for owner in event["object"].metadata.owner_references or []:
                if owner.kind == "Website":
                    reconcile(owner.name)


main()
