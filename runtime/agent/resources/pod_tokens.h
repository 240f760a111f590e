#pragma once
// PodTokens: the service account tokens of the pods on this node, as their volumes carry them. A
// token is asked for with a TokenRequest, bound to the pod, and replaced when 80 % of its life or
// 24 hours are over. Control thread.
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "api/base/clock.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/client/object_client.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

class PodTokens {
 public:
  // `refresh` is told of pods with tokens that are due. Everything outlives it.
  using Refresh = std::function<void(const std::set<std::string>& pod_uids)>;
  PodTokens(asio::any_io_executor control, Clock& clock, client::ObjectClient& client,
            Refresh refresh);
  void start();
  Task<void> stop();

  // The token for a source, a new one when there is none or it is due. While a due token still
  // holds, a failure to get another one is tried again after a minute.
  Task<Result<std::string>> get(PodContext& pod, resources::ServiceAccountTokenSource source);
  // Differs from one token to the next, and when one is due.
  std::string version(const std::string& pod_uid,
                      const resources::ServiceAccountTokenSource& source) const;
  void forget(const std::string& pod_uid);

 private:
  using Key = std::tuple<std::string, std::string, std::int64_t>;  // pod uid, audience, seconds
  struct Held {
    std::string token;
    WallTime expires, refresh_at;
    std::uint64_t serial = 0;
  };
  static Key key_of(const std::string& pod_uid, const resources::ServiceAccountTokenSource& source);
  Task<Result<Held>> fetch(PodContext& pod, const resources::ServiceAccountTokenSource& source);
  Task<void> watch();

  Clock& clock_;
  client::ObjectClient& client_;
  Refresh refresh_;
  std::map<Key, Held> held_;
  std::uint64_t serial_ = 0;
  Notifier changed_;
  TaskScope scope_;
};

// When a token should be replaced. `spread` (0 to 1) differs between pods, so that not all come at
// once. Pure.
WallTime token_refresh_time(WallTime issued, WallTime expires, double spread);

}  // namespace moth::agent
