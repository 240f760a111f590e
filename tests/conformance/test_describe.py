"""kubectl 1.35, unchanged: describe for every kind that it knows how to describe, and for some that it does not."""
import json

from kubectl_case import KubectlCase


class Describe(KubectlCase):
    def shown(self, what: str, *wanted: str) -> str:
        """`describe WHAT` holds these lines, runs of spaces counted as one."""
        text = self.kubectl("describe", *what.split())
        flat = "\n".join(" ".join(line.split()) for line in text.splitlines())
        for line in wanted:
            self.assertIn(line, flat, text)
        return text

    def test_pods_and_nodes(self):
        self.make_node("n1", labels={"zone": "a"})
        body = self.pod("p", nodeName="n1", restartPolicy="Never", nodeSelector={"zone": "a"})
        body["metadata"]["annotations"] = {"note": "word"}
        main = body["spec"]["containers"][0]
        main.update(env=[{"name": "A", "value": "1"},
                         {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                         {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    envFrom=[{"configMapRef": {"name": "c"}}], ports=[{"containerPort": 80}],
                    resources={"limits": {"cpu": "1"}, "requests": {"memory": "64Mi"}},
                    livenessProbe={"httpGet": {"path": "/live", "port": 80}},
                    volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True}])
        body["spec"]["initContainers"] = [{"name": "before", "image": "i:1", "command": ["true"]}]
        body["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]
        self.create(body)
        self.api.create("events", self.ns, {
            "metadata": {"name": "p.1"}, "reason": "Because", "message": "something happened", "type": "Warning",
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": self.ns, "apiVersion": "v1",
                               "uid": self.value("pod/p", ".metadata.uid")},
            "source": {"component": "tester"}, "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1})
        text = self.shown("pod p", "Name: p", f"Namespace: {self.ns}", "Service Account: default", "Node: n1/", "Labels: app=p",
                          "Annotations: note: word", "Status: Pending", "before:", "main:", "Image: nginx:1",
                          "Port: 80/TCP", "Limits:\ncpu: 1", "Requests:\ncpu: 1\nmemory: 64Mi",
                          "Liveness: http-get http://:80/live delay=0s timeout=1s period=10s #success=1 #failure=3",
                          "Environment Variables from:\nc ConfigMap Optional: false", "A: 1",
                          "S: <set to the key 'k' in secret 's'> Optional: false", "F: p (v1:metadata.name)",
                          "/v from v (ro)", "Type: ConfigMap (a volume populated by a ConfigMap)",
                          "Type: EmptyDir (a temporary directory that shares a pod's lifetime)", "QoS Class: Burstable",
                          "Node-Selectors: zone=a", "Tolerations: node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
                          "Warning Because", "tester something happened")
        self.assertNotIn("Events:  <none>", text)
        self.assertNotIn("something happened", self.kubectl("describe", "pod", "p", "--show-events=false"))
        self.shown("node n1", "Name: n1", "Roles: <none>", "Labels: zone=a", "Unschedulable: false", "Capacity:\ncpu: 4",
                   "Allocatable:", "Non-terminated Pods: (1 in total)", f"{self.ns} p 1 (25%) 1 (25%) 64Mi (0%) 0 (0%)",
                   "Allocated resources:", "cpu 1 (25%) 1 (25%)", "Events: <none>")
        # Of a node's events kubectl asks for those without a namespace, and by the node's name as the uid.
        self.api.create("events", "default", {
            "metadata": {"name": f"n1.{self.ns}"}, "reason": "Rebooted", "message": "it was off", "type": "Normal",
            "involvedObject": {"kind": "Node", "name": "n1", "uid": "n1"}, "source": {"component": "tester"}, "count": 1,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"})
        self.shown("node n1", "Rebooted", "tester it was off")

    def test_workloads(self):
        self.create(self.deployment(replicas=2, minReadySeconds=3))
        self.api.wait_list("replicasets", self.ns, lambda items: items and items[0]["status"].get("replicas") == 2, 20)
        self.shown("deploy web", "Replicas: 2 desired | 2 updated | 2 total | 0 available | 2 unavailable",
                   "StrategyType: RollingUpdate", "RollingUpdateStrategy: 25% max unavailable, 25% max surge",
                   "MinReadySeconds: 3", "Image: nginx:1", "Available False MinimumReplicasUnavailable",
                   "OldReplicaSets: <none>", "NewReplicaSet: web-", "Normal ScalingReplicaSet")
        self.shown("rs -l app=web", "Controlled By: Deployment/web", "Replicas: 2 current / 2 desired",
                   "Pods Status: 0 Running / 2 Waiting / 0 Succeeded / 0 Failed", "Normal SuccessfulCreate")
        template, selector = self.deployment()["spec"]["template"], {"matchLabels": {"app": "web"}}
        once = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        self.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"},
                     "spec": {"serviceName": "s", "replicas": 0, "selector": selector, "template": template}},
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
                     "spec": {"selector": selector, "template": template}},
                    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
                     "spec": {"suspend": True, "template": once}},
                    {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
                     "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": once}}}},
                    {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "r"},
                     "spec": {"replicas": 0, "selector": {"app": "none"}, "template": dict(
                         template, metadata={"labels": {"app": "none"}})}})
        self.shown("sts s", "Replicas: 0 desired | 0 total", "Update Strategy: RollingUpdate", "Partition: 0")
        self.shown("ds d", "Selector: app=web", "Desired Number of Nodes Scheduled: 0")
        self.shown("job j", "Parallelism: 1", "Completions: 1", "Suspend: true", "Backoff Limit: 6")
        self.shown("cronjob c", "Schedule: 0 0 1 1 *", "Concurrency Policy: Allow", "Suspend: True", "Active Jobs: <none>")
        self.shown("rc r", "Replicas: 0 current / 0 desired")

    def test_services_and_network(self):
        self.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                     "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "name": "w"}]}},
                    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "manual"}, "spec": {"ports": [{"port": 80}]}},
                    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                     "metadata": {"name": "manual-1", "labels": {"kubernetes.io/service-name": "manual"}},
                     "ports": [{"port": 8080, "name": ""}], "endpoints": [{"addresses": ["10.1.2.3"],
                                                                           "conditions": {"ready": True}}]},
                    {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
                     "spec": {"rules": [{"host": "foo.com", "http": {"paths": [{
                         "path": "/x", "pathType": "Prefix",
                         "backend": {"service": {"name": "manual", "port": {"number": 80}}}}]}}]}},
                    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"},
                     "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}},
                    {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": self.ns},
                     "spec": {"controller": "example.com/c"}})
        self.addCleanup(self.run_kubectl, "delete", "ingressclass", self.ns)
        self.shown("svc s", "Selector: app=web", "Type: ClusterIP", "IP Family Policy: SingleStack", "IP Families: IPv4",
                   "Port: w 80/TCP", "TargetPort: http/TCP", "Endpoints:", "Session Affinity: None",
                   "Internal Traffic Policy: Cluster")
        self.shown("svc manual", "Endpoints: 10.1.2.3:8080")
        self.shown("endpointslice manual-1", "AddressType: IPv4", "Addresses: 10.1.2.3", "Ready: true")
        self.shown("ingress i", "foo.com", "/x manual:80 (10.1.2.3:8080)")
        self.shown("netpol n", "PodSelector: <none> (Allowing the specific traffic to all pods in this namespace)",
                   "To Port: 80/TCP")
        self.shown(f"ingressclass {self.ns}", "Controller: example.com/c")
        self.api.wait("endpoints", self.ns, "s", bool, 10)
        self.shown("endpoints s", "Name: s", "Subsets:")

    def test_settings_and_rights(self):
        self.create(self.config_map(data={"key": "line"}),
                    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aGlkZGVu"}},
                    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot"}},
                    {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"},
                     "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]}},
                    {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}},
                    {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
                     "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}})
        self.kubectl("create", "role", "r", "--verb=get", "--resource=pods")
        self.kubectl("create", "rolebinding", "rb", "--role=r", "--user=u", f"--serviceaccount={self.ns}:bot")
        self.shown("cm map", "Data\n====\nkey:\n----\nline")
        self.assertNotIn("aGlkZGVu", self.shown("secret s", "Type: Opaque", "k: 6 bytes"))
        self.shown("sa bot", "Name: bot", "Image pull secrets: <none>")
        self.shown("limits l", "Container cpu - 2 1 1 -")
        self.api.wait("resourcequotas", self.ns, "q", lambda item: item.get("status", {}).get("used"), 10)
        self.shown("quota q", "pods 0 5")
        self.shown("pdb b", "Min available: 1", "Selector: a=b", "Allowed disruptions: 0")
        self.shown("role r", "pods [] [] [get]")
        self.shown("rolebinding rb", "Kind: Role", "User u", f"ServiceAccount bot {self.ns}")
        self.shown("clusterrole view", "configmaps [] [] [get list watch]")
        self.shown("clusterrolebinding cluster-admin", "Group system:masters")
        self.shown(f"ns {self.ns}", "Status: Active", "Resource Quotas", "Resource Limits", "pods 0 5")
        self.shown("priorityclass system-node-critical", "Value: 2000001000", "GlobalDefault: false")

    def test_storage_autoscalers_and_certificates(self):
        name = self.ns
        self.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
                     "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": name,
                              "resources": {"requests": {"storage": "1Gi"}}}},
                    {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
                     "spec": {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}},
                    {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
                     "provisioner": "example.com/p"},
                    {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
                     "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                              "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {
                                  "type": "Utilization", "averageUtilization": 50}}}]}})
        for kind in ("pv", "storageclass"):
            self.addCleanup(self.run_kubectl, "delete", kind, name, "--wait=false")
        self.shown("pvc c", "Status: Pending", f"StorageClass: {name}", "Used By: <none>")
        self.shown(f"pv {name}", "Capacity: 2Gi", "Access Modes: RWO", "Reclaim Policy: Retain", "Path: /x")
        self.shown(f"storageclass {name}", "Provisioner: example.com/p", "ReclaimPolicy: Delete")
        self.shown("hpa h", "Reference: Deployment/web", "resource cpu on pods (as a percentage of request): <unknown> / 50%",
                   "Min replicas: 1", "Max replicas: 3")

    def test_by_prefix_selector_file_and_all(self):
        self.create(self.config_map("app-one", labels={"a": "b"}), self.config_map("app-two"), self.config_map("x"))
        text = self.kubectl("describe", "cm", "app-")
        self.assertIn("Name:         app-one", text)
        self.assertIn("Name:         app-two", text)
        self.assertNotIn("Name:         x\n", text)
        self.assertNotIn("app-two", self.kubectl("describe", "cm", "-l", "a=b"))
        self.assertIn("Name:         x\n", self.kubectl("describe", "-f", self.file("x.json", self.config_map("x"))))
        self.assertIn("Name:         x\n", self.kubectl("describe", "cm"))
        self.assertEqual(self.fails("describe", "cm", "nope"),
                         'Error from server (NotFound): configmaps "nope" not found\n')
        self.assertIn(f"No resources found in {self.ns} namespace.", self.both("describe", "pods")[1])

    def test_kinds_without_a_description_of_their_own(self):
        self.kubectl("create", "-f", "-", input=json.dumps({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
            "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}}))
        self.shown("lease l", "API Version: coordination.k8s.io/v1", "Kind: Lease", "Holder Identity: me",
                   "Lease Duration Seconds: 10")
