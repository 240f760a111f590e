#include "api/server/auth/bootstrap_roles.h"

namespace moth::server {
namespace {

using resources::PolicyRule;
using resources::Subject;
using Texts = std::vector<std::string>;

// Words separated by spaces. "core" is the group without a name.
Texts words(std::string_view text) {
  Texts out;
  while (!text.empty()) {
    auto space = text.find(' ');
    std::string word(text.substr(0, space));
    if (!word.empty()) out.push_back(word == "core" ? "" : std::move(word));
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  }
  return out;
}

constexpr std::string_view kRead = "get list watch";
constexpr std::string_view kWrite = "create delete deletecollection patch update";
constexpr std::string_view kReadWrite =
    "create delete deletecollection get list patch update watch";

PolicyRule on(std::string_view verbs, std::string_view groups, std::string_view resources,
              std::string_view names = "") {
  return {words(verbs), words(groups), words(resources), words(names), {}};
}

PolicyRule paths(std::string_view verbs, std::string_view urls) {
  return {words(verbs), {}, {}, {}, words(urls)};
}

PolicyRule write_events() {
  return on("create patch update", "core events.k8s.io", "events");
}

constexpr std::string_view kWorkloads =
    "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets "
    "statefulsets/scale";

std::vector<PolicyRule> view_rules() {
  return {
      on(kRead, "core",
         "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
         "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
         "services/status"),
      on(kRead, "core",
         "bindings events limitranges namespaces/status pods/log pods/status "
         "replicationcontrollers/status resourcequotas resourcequotas/status"),
      on(kRead, "core", "namespaces"),
      on(kRead, "discovery.k8s.io", "endpointslices"),
      on(kRead, "apps",
         "controllerrevisions daemonsets daemonsets/status deployments deployments/scale "
         "deployments/status replicasets replicasets/scale replicasets/status statefulsets "
         "statefulsets/scale statefulsets/status"),
      on(kRead, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
      on(kRead, "batch", "cronjobs cronjobs/status jobs jobs/status"),
      on(kRead, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
      on(kRead, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
      on(kRead, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
  };
}

std::vector<PolicyRule> edit_rules() {
  return {
      on(kRead, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
      on("impersonate", "core", "serviceaccounts"),
      on(kWrite, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
      on("create", "core", "pods/eviction"),
      on(kWrite, "core",
         "configmaps events persistentvolumeclaims replicationcontrollers "
         "replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
      on("create", "core", "serviceaccounts/token"),
      on(kWrite, "apps", std::string(kWorkloads) + " deployments/rollback"),
      on(kWrite, "autoscaling", "horizontalpodautoscalers"),
      on(kWrite, "batch", "cronjobs jobs"),
      on(kWrite, "policy", "poddisruptionbudgets"),
      on(kWrite, "networking.k8s.io", "ingresses networkpolicies"),
      on(kReadWrite, "coordination.k8s.io", "leases"),
      on(kWrite, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
  };
}

std::vector<PolicyRule> scheduler_rules() {
  return {
      write_events(),
      on("create", "coordination.k8s.io", "leases"),
      on("get update", "coordination.k8s.io", "leases", "kube-scheduler"),
      on(kRead, "core",
         "nodes namespaces services replicationcontrollers persistentvolumes "
         "persistentvolumeclaims"),
      on("delete get list watch", "core", "pods"),
      on("create", "core", "bindings pods/binding"),
      on("patch update", "core", "pods/status"),
      on(kRead, "apps", "replicasets statefulsets"),
      on(kRead, "policy", "poddisruptionbudgets"),
      on(kRead, "storage.k8s.io", "csidrivers csinodes csistoragecapacities storageclasses"),
      on("create", "authentication.k8s.io", "tokenreviews"),
      on("create", "authorization.k8s.io", "subjectaccessreviews"),
  };
}

BuiltinRole approver(std::string_view signer) {
  std::string name(signer.substr(signer.find('/') + 1));
  return {"system:certificates.k8s.io:" + name + "-approver",
          {on("approve", "certificates.k8s.io", "signers", signer)}};
}

BuiltinRole bare(std::string name, std::vector<PolicyRule> rules) {
  return {std::move(name), std::move(rules)};
}

}  // namespace

std::vector<PolicyRule> node_rules() {
  return {
      on("create", "authentication.k8s.io", "tokenreviews"),
      on("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
      on(kRead, "core", "services"),
      on("create get list watch", "core", "nodes"),
      on("patch update", "core", "nodes nodes/status"),
      write_events(),
      on("create delete get list watch", "core", "pods"),
      on("patch update", "core", "pods/status"),
      on("create", "core", "pods/eviction"),
      on(kRead, "core", "configmaps secrets"),
      on("get", "core", "endpoints persistentvolumeclaims persistentvolumes"),
      on("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
      on("create delete get patch update", "coordination.k8s.io", "leases"),
      on("get", "storage.k8s.io", "volumeattachments"),
      on(kRead, "node.k8s.io", "runtimeclasses"),
      on(kRead, "storage.k8s.io", "csidrivers"),
      on("create delete get patch update", "storage.k8s.io", "csinodes"),
      on("create", "core", "serviceaccounts/token"),
      on("get patch update", "core", "persistentvolumeclaims/status"),
      on(kRead, "resource.k8s.io", "resourceclaims"),
      on(kRead, "resource.k8s.io", "resourceslices"),
  };
}

std::vector<BuiltinRole> builtin_cluster_roles() {
  constexpr std::string_view kSelfCsr = "certificatesigningrequests/selfnodeclient";
  constexpr std::string_view kNodeCsr = "certificatesigningrequests/nodeclient";
  return {
      {"cluster-admin", {on("*", "*", "*"), paths("*", "*")}},
      {"admin", {}, {}, "admin"},
      {"edit", {}, {"admin"}, "edit"},
      {"view", {}, {"edit"}, "view"},
      {"system:aggregate-to-admin",
       {on("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        on(kReadWrite, "rbac.authorization.k8s.io", "rolebindings roles")},
       {"admin"}},
      {"system:aggregate-to-edit", edit_rules(), {"edit"}},
      {"system:aggregate-to-view", view_rules(), {"view"}},
      {"system:aggregated-metrics-reader",
       {on(kRead, "metrics.k8s.io", "nodes pods")},
       {"view", "edit", "admin"}},
      bare("system:discovery",
           {paths("get",
                  "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version "
                  "/version/")}),
      bare("system:basic-user", {on("create", "authorization.k8s.io",
                                    "selfsubjectaccessreviews selfsubjectrulesreviews"),
                                 on("create", "authentication.k8s.io", "selfsubjectreviews")}),
      bare("system:public-info-viewer",
           {paths("get", "/healthz /livez /readyz /version /version/")}),
      bare("system:monitoring",
           {paths("get",
                  "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz "
                  "/readyz/*")}),
      bare("system:service-account-issuer-discovery",
           {paths("get",
                  "/.well-known/openid-configuration /.well-known/openid-configuration/ "
                  "/openid/v1/jwks /openid/v1/jwks/")}),
      bare("system:auth-delegator", {on("create", "authentication.k8s.io", "tokenreviews"),
                                     on("create", "authorization.k8s.io", "subjectaccessreviews")}),
      bare("system:node", node_rules()),
      bare("system:node-bootstrapper",
           {on("create get list watch", "certificates.k8s.io", "certificatesigningrequests")}),
      bare("system:node-proxier",
           {on("list watch", "core", "endpoints services"), on(kRead, "core", "nodes"),
            write_events(), on("list watch", "discovery.k8s.io", "endpointslices")}),
      bare("system:kubelet-api-admin",
           {on(kRead, "core", "nodes"), on("proxy", "core", "nodes"),
            on("*", "core",
               "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy "
               "nodes/stats")}),
      bare("system:kube-scheduler", scheduler_rules()),
      bare("system:volume-scheduler",
           {on("get list patch update watch", "core", "persistentvolumes"),
            on(kRead, "storage.k8s.io", "storageclasses"),
            on("get list patch update watch", "core", "persistentvolumeclaims")}),
      bare("system:kube-dns", {on("list watch", "core", "endpoints services")}),
      bare("system:persistent-volume-provisioner",
           {on("create delete get list watch", "core", "persistentvolumes"),
            on("get list update watch", "core", "persistentvolumeclaims"),
            on(kRead, "storage.k8s.io", "storageclasses"), on("watch", "core", "events"),
            on("create patch update", "core", "events")}),
      bare("system:certificates.k8s.io:certificatesigningrequests:nodeclient",
           {on("create", "certificates.k8s.io", kNodeCsr)}),
      bare("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
           {on("create", "certificates.k8s.io", kSelfCsr)}),
      approver("kubernetes.io/kube-apiserver-client"),
      approver("kubernetes.io/kube-apiserver-client-kubelet"),
      approver("kubernetes.io/kubelet-serving"),
      approver("kubernetes.io/legacy-unknown"),
  };
}

std::vector<BuiltinRole> builtin_controller_roles() {
  auto events = write_events();
  return {
      {"clusterrole-aggregation-controller",
       {on("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")}},
      {"certificate-controller",
       {on("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        on("update", "certificates.k8s.io",
           "certificatesigningrequests/approval certificatesigningrequests/status"),
        on("approve", "certificates.k8s.io", "signers",
           "kubernetes.io/kube-apiserver-client-kubelet"),
        on("sign", "certificates.k8s.io", "signers",
           "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
           "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown"),
        on("create", "authorization.k8s.io", "subjectaccessreviews"), events}},
      {"cronjob-controller",
       {on("get list patch update watch", "batch", "cronjobs"),
        on("create delete get list patch update watch", "batch", "jobs"),
        on("update", "batch", "cronjobs/finalizers cronjobs/status"),
        on("delete list", "core", "pods"), events}},
      {"daemon-set-controller",
       {on(kRead, "apps", "daemonsets"),
        on("update", "apps",
           "daemonsets/finalizers "
           "daemonsets/status"),
        on("list watch", "core", "nodes"), on("create delete list patch watch", "core", "pods"),
        on("create delete get list patch update watch", "apps", "controllerrevisions"), events}},
      {"deployment-controller",
       {on("get list update watch", "apps", "deployments"),
        on("update", "apps", "deployments/finalizers deployments/status"),
        on("create delete get list patch update watch", "apps", "replicasets"),
        on("get list update watch", "core", "pods"), events}},
      {"disruption-controller",
       {on(kRead, "apps", "deployments replicasets statefulsets"),
        on(kRead, "policy", "poddisruptionbudgets"), on(kRead, "core", "pods"),
        on("patch update", "core", "pods/status"),
        on("update", "policy", "poddisruptionbudgets/status"), on("get", "*", "*/scale"), events}},
      {"endpointslice-controller",
       {on(kRead, "core", "nodes pods services"), on("update", "core", "services/finalizers"),
        on("create delete get list update watch", "discovery.k8s.io", "endpointslices"), events}},
      {"generic-garbage-collector", {on("delete get list patch update watch", "*", "*"), events}},
      {"horizontal-pod-autoscaler",
       {on(kRead, "autoscaling", "horizontalpodautoscalers"),
        on("update", "autoscaling", "horizontalpodautoscalers/status"),
        on("get update", "*", "*/scale"), on("list", "core", "pods"),
        on("list", "metrics.k8s.io", "pods"), events}},
      {"job-controller",
       {on("get list patch update watch", "batch", "jobs"),
        on("update", "batch", "jobs/finalizers jobs/status"),
        on("create delete list patch watch", "core", "pods"), events}},
      {"namespace-controller",
       {on("delete get list watch", "core", "namespaces"),
        on("update", "core", "namespaces/finalize namespaces/status"),
        on("delete deletecollection get list", "*", "*")}},
      {"persistent-volume-binder",
       {on("create delete get list update watch", "core", "persistentvolumes"),
        on("update", "core", "persistentvolumes/status persistentvolumeclaims/status"),
        on("get list update watch", "core", "persistentvolumeclaims"),
        on("create delete get list watch", "core", "pods"),
        on(kRead, "storage.k8s.io", "storageclasses"), events}},
      {"pod-garbage-collector",
       {on("delete list watch", "core", "pods"), on("get list", "core", "nodes"),
        on("patch", "core", "pods/status")}},
      {"replicaset-controller",
       {on("get list update watch", "apps", "replicasets"),
        on("update", "apps", "replicasets/finalizers replicasets/status"),
        on("create delete list patch watch", "core", "pods"), events}},
      {"resourcequota-controller",
       {on("list watch", "*", "*"), on("update", "core", "resourcequotas/status"), events}},
      {"root-ca-cert-publisher", {on("create update", "core", "configmaps"), events}},
      {"service-account-controller", {on("create", "core", "serviceaccounts"), events}},
      {"statefulset-controller",
       {on("list watch", "core", "pods"), on(kRead, "apps", "statefulsets"),
        on("update", "apps", "statefulsets/finalizers statefulsets/status"),
        on("create delete get patch update", "core", "pods"),
        on("create delete get list patch update watch", "apps", "controllerrevisions"),
        on("create get", "core", "persistentvolumeclaims"), events}},
      {"ttl-after-finished-controller", {on("delete get list watch", "batch", "jobs"), events}},
  };
}

std::vector<BuiltinBinding> builtin_cluster_role_bindings() {
  auto group = [](std::string name) { return Subject{Subject::Kind::kGroup, std::move(name), ""}; };
  auto user = [](std::string name) { return Subject{Subject::Kind::kUser, std::move(name), ""}; };
  auto account = [](std::string name) {
    return Subject{Subject::Kind::kServiceAccount, std::move(name), "kube-system"};
  };
  return {
      {"cluster-admin", "cluster-admin", {group("system:masters")}},
      {"system:monitoring", "system:monitoring", {group("system:monitoring")}},
      {"system:discovery", "system:discovery", {group("system:authenticated")}},
      {"system:basic-user", "system:basic-user", {group("system:authenticated")}},
      {"system:public-info-viewer",
       "system:public-info-viewer",
       {group("system:authenticated"), group("system:unauthenticated")}},
      {"system:service-account-issuer-discovery",
       "system:service-account-issuer-discovery",
       {group("system:serviceaccounts")}},
      {"system:node", "system:node", {}},
      {"system:node-proxier", "system:node-proxier", {user("system:kube-proxy")}},
      {"system:kube-scheduler", "system:kube-scheduler", {user("system:kube-scheduler")}},
      {"system:volume-scheduler", "system:volume-scheduler", {user("system:kube-scheduler")}},
      {"system:kube-dns", "system:kube-dns", {account("kube-dns")}},
  };
}

}  // namespace moth::server
