#pragma once
// Admission: checks and changes that need other objects. Each step sees every write in order.
// Control thread, synchronous. mutate() is idempotent: it may see an object again that it has
// changed already. RemoteAdmission is what takes time: webhooks.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/resources/registry.h"
#include "api/server/request_context.h"

namespace moth::server {

enum class Operation { kCreate, kUpdate, kDelete, kConnect };

struct AdmissionRequest {
  const resources::ResourceDef& def;
  Operation operation;
  const std::string& ns;
  const std::string& name;
  const std::string& subresource;
  const Json* old;  // null for creates
  RequestContext& context;
  // The version that the client speaks; null: the stored one. Webhooks get objects in it.
  const resources::ResourceDef* requested = nullptr;
};

class Admission {
 public:
  virtual ~Admission() = default;
  virtual std::string_view name() const = 0;
  // True for a step that takes something for the object (addresses, quota): it runs only when the
  // object is about to be stored, and not while webhooks are asked about it. Such steps come last.
  virtual bool reserves() const { return false; }
  // May change `object` (the stored version; an empty object for deletes). Forbidden (403) refuses.
  virtual Result<> mutate(const AdmissionRequest& request, Json& object) {
    (void)request, (void)object;
    return {};
  }
  virtual Result<> validate(const AdmissionRequest& request, const Json& object) {
    (void)request, (void)object;
    return {};
  }
  // The object was not stored after all: give back what mutate() took (addresses, quota).
  virtual void release(const AdmissionRequest& request, const Json& object) {
    (void)request, (void)object;
  }
};

// What one mutating run over all webhooks leaves for the second one (reinvocation).
struct RemoteRun {
  bool second = false;
  std::vector<std::string> wanted_again;  // webhooks that asked for it and saw less than the end
  std::string last_output;                // the object as the last webhook left it, as text
};

// Admission by programs outside of the daemon. Control thread; the tasks suspend, so the caller
// looks whether the world is still as it was told to them. Request, object and run outlive them.
class RemoteAdmission {
 public:
  virtual ~RemoteAdmission() = default;
  // Whether any configuration may concern the request. Without one it costs a look at a counter.
  virtual bool concerns(const AdmissionRequest& request) const = 0;
  // Changes `object` (the stored version); true when it did. Errors: a refusal in the words of the
  // webhook, or InternalError when one that must not fail cannot be asked.
  virtual Task<Result<bool>> mutate(const AdmissionRequest& request, Json& object,
                                    RemoteRun& run) = 0;
  virtual Task<Result<>> validate(const AdmissionRequest& request, const Json& object) = 0;
};

}  // namespace moth::server
