#pragma once
// The parts of a pod's spec that moth acts upon, decoded and with units resolved: durations as
// std::chrono, amounts as Quantity, enumerations as enums. Values, free of threads; PodView
// (pod_view.h) holds them. Fields that nothing acts upon stay in the JSON only.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/machinery/int_or_string.h"
#include "api/machinery/labels.h"
#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "api/resources/core_v1/resource_list.h"

namespace moth::resources {

enum class PullPolicy : std::uint8_t { kAlways, kIfNotPresent, kNever };
enum class RestartPolicy : std::uint8_t { kAlways, kOnFailure, kNever };
enum class Protocol : std::uint8_t { kTcp, kUdp, kSctp };

std::string_view to_string(PullPolicy policy);
std::string_view to_string(RestartPolicy policy);
std::string_view to_string(Protocol protocol);   // TCP, UDP, SCTP
Protocol parse_protocol(std::string_view text);  // anything unknown is TCP

// What a probe or a lifecycle hook does.
struct Handler {
  enum class Kind : std::uint8_t { kNone, kExec, kHttpGet, kTcpSocket, kGrpc, kSleep };
  Kind kind = Kind::kNone;
  std::vector<std::string> command;         // exec
  std::string host;                         // httpGet, tcpSocket; empty: the pod
  std::string path = "/", scheme = "HTTP";  // httpGet
  std::vector<std::pair<std::string, std::string>> http_headers;  // httpGet
  IntOrString port;                                               // httpGet, tcpSocket, grpc
  std::string grpc_service;                                       // grpc
  std::chrono::seconds sleep{0};                                  // sleep
  bool operator==(const Handler&) const = default;
};

struct Probe {
  Handler handler;
  std::chrono::seconds initial_delay{0}, timeout{1}, period{10};
  int success_threshold = 1, failure_threshold = 3;
  std::optional<std::chrono::seconds> termination_grace;  // overrides the pod's for this kill
  bool operator==(const Probe&) const = default;
};

struct EnvVar {
  enum class Source : std::uint8_t {
    kValue,
    kConfigMapKey,
    kSecretKey,
    kField,
    kResourceField,
    kFileKey
  };
  std::string name;
  Source source = Source::kValue;
  std::string value;           // kValue; $(NAME) is not yet expanded
  std::string ref_name;        // kConfigMapKey, kSecretKey: the object; kFileKey: the volume
  std::string key;             // kConfigMapKey, kSecretKey, kFileKey
  std::string path;            // kFileKey
  bool optional = false;       // kConfigMapKey, kSecretKey, kFileKey
  std::string field_path;      // kField, e.g. status.podIP
  std::string container_name;  // kResourceField; empty: this container
  std::string resource;        // kResourceField, e.g. limits.cpu
  Quantity divisor;            // kResourceField; zero: 1
};

struct EnvFrom {
  bool secret = false;  // else a ConfigMap
  std::string ref_name, prefix;
  bool optional = false;
};

struct ContainerPort {
  std::string name;
  std::uint16_t container_port = 0, host_port = 0;  // host_port 0: none
  std::string host_ip;
  Protocol protocol = Protocol::kTcp;
};

struct VolumeMount {
  enum class Propagation : std::uint8_t { kNone, kHostToContainer, kBidirectional };
  std::string name, mount_path, sub_path, sub_path_expr;
  bool read_only = false;
  std::string recursive_read_only;  // "", Disabled, IfPossible, Enabled
  Propagation propagation = Propagation::kNone;
};

struct VolumeDevice {
  std::string name, device_path;
};

struct SecurityProfile {  // seccomp, AppArmor
  enum class Kind : std::uint8_t { kRuntimeDefault, kUnconfined, kLocalhost };
  Kind kind = Kind::kRuntimeDefault;
  std::string localhost_profile;
};

// The security context of one container with the pod's values filled in where it has none.
struct SecurityContext {
  std::optional<std::int64_t> run_as_user, run_as_group;
  bool run_as_non_root = false;
  bool privileged = false;
  std::optional<bool> allow_privilege_escalation;  // false: no_new_privs
  bool read_only_root_filesystem = false;
  std::vector<std::string> capabilities_add, capabilities_drop;
  std::optional<SecurityProfile> seccomp, app_armor;
  bool unmasked_proc = false;  // procMount: Unmasked
};

struct ContainerResources {
  ResourceList requests, limits;
  // Absent limits are unlimited; absent requests are 0.
  std::int64_t cpu_request_milli() const;
  std::optional<std::int64_t> cpu_limit_milli() const;
  std::int64_t memory_request_bytes() const;
  std::optional<std::int64_t> memory_limit_bytes() const;
  std::optional<std::int64_t> ephemeral_storage_limit_bytes() const;
};

// restartPolicyRules: the first that matches the exit code decides.
struct RestartRule {
  bool restart_all_containers = false;  // else Restart
  bool not_in = false;
  std::vector<std::int32_t> exit_codes;
};

struct Container {
  enum class Kind : std::uint8_t { kApp, kInit, kEphemeral };
  Kind kind = Kind::kApp;
  std::string name, image, working_dir;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
  std::vector<std::string> command, args;
  std::vector<EnvVar> env;
  std::vector<EnvFrom> env_from;
  std::vector<ContainerPort> ports;
  std::vector<VolumeMount> volume_mounts;
  std::vector<VolumeDevice> volume_devices;
  ContainerResources resources;
  // Resources whose change restarts the container (resizePolicy RestartContainer).
  std::vector<std::string> restart_on_resize;
  std::optional<Probe> liveness, readiness, startup;
  std::optional<Handler> post_start, pre_stop;
  std::string stop_signal;  // SIGTERM...; empty: the image's
  SecurityContext security;
  std::optional<RestartPolicy> restart_policy;  // its own, over the pod's
  std::vector<RestartRule> restart_rules;
  bool stdin = false, stdin_once = false, tty = false;
  std::string termination_message_path = "/dev/termination-log";
  bool fallback_to_logs_on_error = false;
  std::string target_container;  // ephemeral: whose process namespace

  // An init container that keeps running beside the app containers.
  bool is_sidecar() const {
    return kind == Kind::kInit && restart_policy == RestartPolicy::kAlways;
  }
  const ContainerPort* port_named(std::string_view port_name) const;
};

struct KeyToPath {
  std::string key, path;
  std::optional<std::uint32_t> mode;
};

struct EmptyDirVolume {
  std::string medium;  // "", Memory, HugePages, HugePages-2Mi
  std::optional<std::int64_t> size_limit_bytes;
};
struct HostPathVolume {
  std::string path, type;  // type: "", DirectoryOrCreate, ...
};
// ConfigMap and Secret, as volumes and as sources of projected volumes (no default_mode there).
struct ConfigMapVolume {
  std::string name;
  std::vector<KeyToPath> items;  // empty: every key
  std::uint32_t default_mode = 0644;
  bool optional = false;
};
struct SecretVolume {
  std::string name;
  std::vector<KeyToPath> items;
  std::uint32_t default_mode = 0644;
  bool optional = false;
};
struct DownwardItem {
  std::string path;
  std::string field_path;                // either this
  std::string container_name, resource;  // or these
  Quantity divisor;
  std::optional<std::uint32_t> mode;
};
struct DownwardApiVolume {
  std::vector<DownwardItem> items;
  std::uint32_t default_mode = 0644;
};
struct ServiceAccountTokenSource {
  std::string audience, path;
  std::chrono::seconds expiration{3600};
};
struct ProjectedVolume {
  using Source =
      std::variant<ConfigMapVolume, SecretVolume, DownwardApiVolume, ServiceAccountTokenSource>;
  std::vector<Source> sources;
  std::uint32_t default_mode = 0644;
};
struct ClaimVolume {
  std::string claim_name;  // of an ephemeral volume: <pod>-<volume>
  bool read_only = false;
  bool ephemeral = false;
};
struct ImageVolume {
  std::string reference;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
};
struct NfsVolume {
  std::string server, path;
  bool read_only = false;
};
// A source that this node does not know; `type` is the member's name (iscsi, csi ...).
struct OtherVolume {
  std::string type;
};

struct Volume {
  std::string name;
  std::variant<EmptyDirVolume, HostPathVolume, ConfigMapVolume, SecretVolume, DownwardApiVolume,
               ProjectedVolume, ClaimVolume, ImageVolume, NfsVolume, OtherVolume>
      source;
};

struct Toleration {
  std::string key, value, effect;  // empty key: all keys; empty effect: all effects
  std::string op = "Equal";        // Equal, Exists, Lt, Gt
  std::optional<std::int64_t> seconds;
};

struct Taint {
  std::string key, value, effect;  // effect: NoSchedule, PreferNoSchedule, NoExecute
};
bool tolerates(const Toleration& toleration, const Taint& taint);
bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint);

// Node affinity.
struct NodeRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kIn;  // In, NotIn, Exists, DoesNotExist, Gt, Lt
  std::vector<std::string> values;
};
struct NodeTerm {  // all must hold; a term without requirements matches nothing
  std::vector<NodeRequirement> expressions;  // on labels
  std::vector<NodeRequirement> fields;       // on metadata.name
};
struct WeightedNodeTerm {
  int weight = 0;
  NodeTerm term;
};
struct PodAffinityTerm {
  LabelSelector selector = LabelSelector::nothing();  // absent in the spec: nothing
  std::vector<std::string> namespaces;  // with no namespace_selector and none here: the pod's own
  std::optional<LabelSelector> namespace_selector;
  std::string topology_key;
};
struct WeightedPodAffinityTerm {
  int weight = 0;
  PodAffinityTerm term;
};
struct Affinity {
  std::optional<std::vector<NodeTerm>> node_required;  // one must hold
  std::vector<WeightedNodeTerm> node_preferred;
  std::vector<PodAffinityTerm> pod_required, pod_anti_required;
  std::vector<WeightedPodAffinityTerm> pod_preferred, pod_anti_preferred;
};
bool matches(const NodeTerm& term, const Labels& node_labels, std::string_view node_name);

struct TopologySpreadConstraint {
  int max_skew = 1;
  int min_domains = 1;
  std::string topology_key;
  bool schedule_anyway = false;  // else DoNotSchedule
  LabelSelector selector = LabelSelector::nothing();
  bool honor_affinity = true, honor_taints = false;
};

struct DnsConfig {
  std::vector<std::string> nameservers, searches;
  std::vector<std::pair<std::string, std::string>> options;  // an empty value: the name alone
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
};

struct PodSecurity {
  std::optional<std::int64_t> run_as_user, run_as_group, fs_group;
  bool run_as_non_root = false;
  bool fs_group_on_root_mismatch = false;  // fsGroupChangePolicy OnRootMismatch
  std::vector<std::int64_t> supplemental_groups;
  bool strict_supplemental_groups = false;  // supplementalGroupsPolicy Strict
  std::vector<std::pair<std::string, std::string>> sysctls;
  std::optional<SecurityProfile> seccomp, app_armor;
};

struct PodSpec {
  // In spec order.
  std::vector<Container> init_containers, containers, ephemeral_containers;
  std::vector<Volume> volumes;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  std::chrono::seconds termination_grace{30};
  std::optional<std::chrono::seconds> active_deadline;
  std::string dns_policy = "ClusterFirst";
  DnsConfig dns;
  std::vector<HostAlias> host_aliases;
  std::string hostname, subdomain, hostname_override;
  bool set_hostname_as_fqdn = false;
  bool host_network = false, host_pid = false, host_ipc = false;
  bool host_users = true;
  bool share_process_namespace = false;
  bool enable_service_links = true;
  std::string service_account_name;
  std::optional<bool> automount_service_account_token;
  std::vector<std::string> image_pull_secrets;
  PodSecurity security;
  std::string runtime_class_name;

  std::string node_name, scheduler_name = "default-scheduler";
  std::int32_t priority = 0;
  std::string priority_class_name;
  bool preemption_never = false;
  Labels node_selector;
  Affinity affinity;
  std::vector<Toleration> tolerations;
  std::vector<TopologySpreadConstraint> topology_spread;
  std::vector<std::string> scheduling_gates;
  std::vector<std::string> readiness_gates;
  ResourceList overhead;

  // Of the whole pod: see resource_list.h.
  ResourceList requests, limits;

  const Container* find_container(std::string_view name) const;  // of all three lists
  const Volume* find_volume(std::string_view name) const;
};

// Decodes a validated, defaulted spec. What is missing or of a wrong type keeps its default.
// `pod_name` names the claims of ephemeral volumes.
PodSpec parse_pod_spec(const Json& spec, std::string_view pod_name);

}  // namespace moth::resources
