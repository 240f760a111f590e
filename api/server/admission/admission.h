#pragma once
// Admission: checks and changes that need other objects. Each step sees every write in order.
// Control thread, synchronous.
#include "api/base/json_fwd.h"
#include "api/base/result.h"
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
  const RequestContext& context;
};

class Admission {
 public:
  virtual ~Admission() = default;
  virtual std::string_view name() const = 0;
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

}  // namespace moth::server
