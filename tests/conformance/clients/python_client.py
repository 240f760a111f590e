"""What a user of the Python client does: run by test_clients.py with the system's Python, KUBECONFIG and a namespace."""
import json
import sys
import threading
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

NAMESPACE, IMAGE = sys.argv[1:3]
config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()


def check(condition, what):
    if not condition:
        raise SystemExit(f"python client: {what}")
    print("ok", what, flush=True)


def expect(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        check(error.status == status, f"{call.__name__} gives {status} (is {error.status})")
        return error
    raise SystemExit(f"python client: {call.__name__} did not fail with {status}")


def objects():
    made = core.create_namespaced_config_map(
        NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="settings", labels={"a": "1"}), data={"k": "v"}))
    check(made.metadata.uid and made.data == {"k": "v"}, "create")
    expect(409, core.create_namespaced_config_map, NAMESPACE, made.__class__(metadata={"name": "settings"}))
    expect(404, core.read_namespaced_config_map, "nothing", NAMESPACE)
    made.data["k"] = "w"
    changed = core.replace_namespaced_config_map("settings", NAMESPACE, made)
    check(changed.data == {"k": "w"} and changed.metadata.resource_version != made.metadata.resource_version, "replace")
    expect(409, core.replace_namespaced_config_map, "settings", NAMESPACE, made)
    check(core.list_namespaced_config_map(NAMESPACE, label_selector="a=1").items[0].metadata.name == "settings", "list")
    merged = core.patch_namespaced_config_map("settings", NAMESPACE, {"data": {"k": None, "n": "x"}})
    check(merged.data == {"n": "x"}, "strategic patch")
    json_patch = core.patch_namespaced_config_map("settings", NAMESPACE,
                                                  [{"op": "add", "path": "/data/j", "value": "y"}])
    check(json_patch.data == {"n": "x", "j": "y"}, "json patch")
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="a=1")
    expect(404, core.read_namespaced_config_map, "settings", NAMESPACE)
    versions = {group.name for group in client.ApisApi().get_api_versions().groups}
    check({"apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io"} <= versions, "groups")
    check(client.VersionApi().get_code().git_version.startswith("v1.36"), "version")
    invalid = expect(422, core.create_namespaced_service, NAMESPACE,
                     {"metadata": {"name": "bad"}, "spec": {"ports": [{"port": 70000}]}})
    check("spec.ports[0].port" in invalid.body, "causes")


def watching():
    seen = []
    revision = core.list_namespaced_secret(NAMESPACE).metadata.resource_version

    def follow():
        for event in watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, resource_version=revision,
                                          timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return
    thread = threading.Thread(target=follow)
    thread.start()
    core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    core.patch_namespaced_secret("s", NAMESPACE, {"metadata": {"labels": {"x": "y"}}})
    core.delete_namespaced_secret("s", NAMESPACE)
    thread.join(20)
    check(seen == [("ADDED", "s"), ("MODIFIED", "s"), ("DELETED", "s")], f"watch {seen}")


def workloads():
    labels = {"app": "py"}
    container = client.V1Container(name="main", image=IMAGE, ports=[client.V1ContainerPort(container_port=8080)],
                                   readiness_probe=client.V1Probe(period_seconds=1, http_get=client.V1HTTPGetAction(
                                       path="/readyz", port=8080)))
    apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(
        metadata=client.V1ObjectMeta(name="py"),
        spec=client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels=labels),
                                     template=client.V1PodTemplateSpec(
                                         metadata=client.V1ObjectMeta(labels=labels),
                                         spec=client.V1PodSpec(containers=[container],
                                                               termination_grace_period_seconds=1)))))
    for event in watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=30):
        if event["object"].status.available_replicas == 1:
            break
    check(apps.read_namespaced_deployment_status("py", NAMESPACE).status.ready_replicas == 1, "deployment is available")
    apps.patch_namespaced_deployment_scale("py", NAMESPACE, {"spec": {"replicas": 2}})
    for event in watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=30):
        if event["object"].status.available_replicas == 2:
            break
    check(apps.read_namespaced_deployment_scale("py", NAMESPACE).status.replicas == 2, "scale")
    return core.list_namespaced_pod(NAMESPACE, label_selector="app=py").items[0].metadata.name


def streams(pod):
    out = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=["/bin/sh", "-c", "echo out; echo err >&2"],
                 stderr=True, stdin=False, stdout=True, tty=False)
    check(out == "out\nerr\n" or sorted(out.split()) == ["err", "out"], f"exec {out!r}")
    session = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE,
                     command=["/bin/sh", "-c", "read line; echo got $line; exit 3"], stderr=True, stdin=True, stdout=True,
                     tty=False, _preload_content=False)
    session.write_stdin("it\n")
    session.run_forever(timeout=10)
    check(session.read_stdout() == "got it\n" and session.returncode == 3, "exec with input and exit code")

    forward = portforward(core.connect_get_namespaced_pod_portforward, pod, NAMESPACE, ports="8080")
    connection = forward.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: pod\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(4096)
        if not piece:
            break
        answer += piece
    connection.close()
    check(b" 200 " in answer and forward.error(8080) is None, f"port-forward {answer[:60]!r}")

    core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "talk"}, "spec": {"restartPolicy": "Never", "containers": [
        {"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", "for i in 1 2 3; do echo line $i; done"]}]}})
    for event in watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, field_selector="metadata.name=talk",
                                      timeout_seconds=30):
        if event["object"].status.phase == "Succeeded":
            break
    check(core.read_namespaced_pod_log("talk", NAMESPACE, tail_lines=2) == "line 2\nline 3\n", "logs")
    lines = [line for line in watch.Watch().stream(core.read_namespaced_pod_log, "talk", NAMESPACE)]
    check(lines[:3] == ["line 1", "line 2", "line 3"], f"logs that follow {lines}")


def dynamics():
    lively = dynamic.DynamicClient(client.ApiClient())
    maps = lively.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dyn"}, "data": {"a": "1"}}
    # This version of the client sends a body of this type only when it is text.
    applied = maps.server_side_apply(json.dumps(body), name="dyn", namespace=NAMESPACE, field_manager="python-test")
    check(any(entry.manager == "python-test" for entry in applied.metadata.managedFields), "server-side apply")
    check(applied.data.a == "1", "dynamic client")
    maps.delete(name="dyn", namespace=NAMESPACE)


began = time.monotonic()
objects()
watching()
dynamics()
streams(workloads())
print(f"done in {time.monotonic() - began:.1f} s")
