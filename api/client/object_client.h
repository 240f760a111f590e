#pragma once
// ObjectClient: what a client may ask of an API server, and ObjectReader: direct reads of committed
// state for code inside the daemon. Controllers, scheduler and node know only these two.
//
// LocalClient (daemon) runs the server's own pipeline in process; HttpClient (api/client) speaks
// HTTP. Both answer with the same errors.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/machinery/gvk.h"
#include "api/machinery/object.h"

namespace moth::client {

// The well-known resources, so that callers need not spell groups and versions.
namespace gvr {
inline const Gvr kPods{"", "v1", "pods"};
inline const Gvr kServices{"", "v1", "services"};
inline const Gvr kEndpoints{"", "v1", "endpoints"};
inline const Gvr kConfigMaps{"", "v1", "configmaps"};
inline const Gvr kSecrets{"", "v1", "secrets"};
inline const Gvr kNodes{"", "v1", "nodes"};
inline const Gvr kNamespaces{"", "v1", "namespaces"};
inline const Gvr kEvents{"", "v1", "events"};
inline const Gvr kServiceAccounts{"", "v1", "serviceaccounts"};
inline const Gvr kDeployments{"apps", "v1", "deployments"};
inline const Gvr kReplicaSets{"apps", "v1", "replicasets"};
inline const Gvr kHorizontalPodAutoscalers{"autoscaling", "v2", "horizontalpodautoscalers"};
inline const Gvr kEndpointSlices{"discovery.k8s.io", "v1", "endpointslices"};
inline const Gvr kLeases{"coordination.k8s.io", "v1", "leases"};
}  // namespace gvr

enum class PatchType { kJson, kMerge, kStrategic, kApply };

struct WriteOptions {
  std::string field_manager;
  std::string subresource;  // "", "status", "scale", "binding", ...
  bool dry_run = false;
  bool force = false;  // apply
  // "", "Strict", "Warn", "Ignore"
  std::string field_validation;
};

struct DeleteOptions {
  std::optional<std::int64_t> grace_period_seconds;
  std::string propagation_policy;  // "", Background, Foreground, Orphan
  std::string precondition_uid;
  std::string precondition_resource_version;
  bool dry_run = false;
};

struct ListOptions {
  std::string label_selector, field_selector;
  std::int64_t limit = 0;  // 0: no limit
  std::string continue_token;
  std::string resource_version, resource_version_match;
};

struct ObjectList {
  std::vector<ObjectPtr> items;
  std::uint64_t resource_version = 0;
  std::string continue_token;
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type = WatchEventType::kAdded;
  ObjectPtr object;
};

class WatchStream {
 public:
  virtual ~WatchStream() = default;
  // The next event; no value when the server ended the stream. Expired (410): list again.
  virtual Task<Result<std::optional<WatchEvent>>> next() = 0;
};

// All methods on the executor of the caller; an empty `ns` for cluster-scoped resources, or for all
// namespaces in list and watch.
class ObjectClient {
 public:
  virtual ~ObjectClient() = default;
  virtual Task<Result<ObjectPtr>> get(Gvr gvr, std::string ns, std::string name,
                                      std::string subresource = "") = 0;
  virtual Task<Result<ObjectList>> list(Gvr gvr, std::string ns, ListOptions options = {}) = 0;
  virtual Task<Result<std::unique_ptr<WatchStream>>> watch(Gvr gvr, std::string ns,
                                                           ListOptions options) = 0;
  // `name` names the parent for create on a subresource (binding, eviction, token).
  virtual Task<Result<ObjectPtr>> create(Gvr gvr, std::string ns, Json object,
                                         WriteOptions options = {}, std::string name = "") = 0;
  virtual Task<Result<ObjectPtr>> update(Gvr gvr, std::string ns, std::string name, Json object,
                                         WriteOptions options = {}) = 0;
  virtual Task<Result<ObjectPtr>> patch(Gvr gvr, std::string ns, std::string name, PatchType type,
                                        Json patch, WriteOptions options = {}) = 0;
  // The object when it is still terminating, null when it is gone.
  virtual Task<Result<ObjectPtr>> remove(Gvr gvr, std::string ns, std::string name,
                                         DeleteOptions options = {}) = 0;
};

// Direct, synchronous reads of committed state. Control thread.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual ObjectPtr get(const Gvr& gvr, std::string_view ns, std::string_view name) const = 0;
  // An empty `ns` lists all namespaces. Ordered by (namespace, name).
  virtual std::vector<ObjectPtr> list(const Gvr& gvr, std::string_view ns = "") const = 0;

  struct Change {
    ObjectPtr object;    // null: deleted
    ObjectPtr previous;  // null: added
    const Object& any() const { return object ? *object : *previous; }
  };
  // Calls `listener` after each commit, in order. It must only take note (add a key to a queue),
  // and lives as long as the reader.
  using Listener = std::function<void(const Change& change)>;
  virtual void subscribe(const Gvr& gvr, Listener listener) = 0;
};

}  // namespace moth::client
