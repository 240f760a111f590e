#pragma once
// The environment of a container and the expansion of $(NAME). Pure; control thread (it reads views
// and the DOM of ConfigMaps and Secrets).
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"
#include "api/resources/core_v1/pod_spec.h"
#include "api/resources/core_v1/service_view.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

using EnvMap = std::map<std::string, std::string, std::less<>>;

// Ordered name and value; a later set() of a name replaces the value in place.
class EnvList {
 public:
  void set(std::string name, std::string value);
  const std::string* find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }
  std::vector<std::string> lines() const;  // NAME=value

 private:
  std::vector<std::pair<std::string, std::string>> items_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

// `$(NAME)` is replaced by lookup's answer, or stays when that is null; `$$` gives `$`.
std::string expand_variables(std::string_view text,
                             const std::function<const std::string*(std::string_view)>& lookup);
// As above, but an unknown name is an error: `missing value for "NAME"` (subPathExpr).
Result<std::string> expand_strictly(
    std::string_view text, const std::function<const std::string*(std::string_view)>& lookup);

// X_SERVICE_HOST and its kin of the services with an address that the pod sees: those of its own
// namespace when `enable_service_links`, and always `kubernetes` of `default`.
EnvMap service_variables(const std::vector<const resources::ServiceView*>& services,
                         std::string_view pod_namespace, bool enable_service_links);

// The `data` of a ConfigMap or Secret (decoded), null when there is no such object.
struct KeyValues {
  std::map<std::string, std::string> values;
};
using Lookup = std::function<const KeyValues*(bool secret, const std::string& name)>;

struct EnvInput {
  const PodContext& pod;
  const resources::Container& container;
  EnvMap services;
  Lookup lookup;
  const resources::ResourceList& node_allocatable;
};

struct EnvOutput {
  EnvList env;  // what the spec asks for, services last where nothing overrides them
  // Messages about keys that are no legal names, for Events of reason
  // InvalidEnvironmentVariableNames.
  std::vector<std::string> skipped;
};

// Errors are texts of a CreateContainerConfigError: `configmap "x" not found`, `couldn't find key k
// in ConfigMap ns/x`.
Result<EnvOutput> make_environment(const EnvInput& input);

// The final list: PATH, HOSTNAME and TERM where nobody sets them, the image's own, then `env`.
std::vector<std::string> process_environment(const std::vector<std::string>& image_env,
                                             const EnvList& env, std::string_view hostname,
                                             bool tty);

// command and args of the spec over the image's entrypoint and cmd. Empty when neither gives one.
std::vector<std::string> process_arguments(const resources::Container& container,
                                           const std::vector<std::string>& image_entrypoint,
                                           const std::vector<std::string>& image_cmd,
                                           const EnvList& env);

// Reads `data` (and `binaryData` when `with_binary`; base64 of Secrets decoded) of an object.
KeyValues key_values(const Object& object, bool secret, bool with_binary);

}  // namespace moth::agent
