#pragma once
// Objects made from flags: what `create`, `run`, `expose` and `autoscale` send. Pure but for the
// files that ConfigMaps and Secrets are made from.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

// Data of a ConfigMap or Secret from --from-literal, --from-file, --from-env-file: key to bytes.
Outcome<std::map<std::string, std::string>> read_data_sources(const Arguments& arguments,
                                                              std::string_view kind,
                                                              const std::string& name);
std::vector<FlagSpec> data_source_flags();
// --append-hash: the name ends in a hash of the content.
FlagSpec append_hash_flag();

Outcome<Json> make_configmap(const Arguments& arguments, const std::string& name);
Outcome<Json> make_generic_secret(const Arguments& arguments, const std::string& name);
Outcome<Json> make_registry_secret(const Arguments& arguments, const std::string& name);
Outcome<Json> make_tls_secret(const Arguments& arguments, const std::string& name);
Outcome<Json> make_namespace(const Arguments& arguments, const std::string& name);
Outcome<Json> make_service_account(const Arguments& arguments, const std::string& name);
Outcome<Json> make_deployment(const Arguments& arguments, const std::string& name);
// `type` is ClusterIP, NodePort, LoadBalancer or ExternalName.
Outcome<Json> make_service(const Arguments& arguments, const std::string& name,
                           const std::string& type);
Outcome<Json> make_pod(const Arguments& arguments, const std::string& name);

// "a=b,c=d"
Outcome<Json> parse_label_list(std::string_view text);
// KEY=VALUE words to [{"name","value"}].
Outcome<Json> parse_env(const std::vector<std::string>& words);
std::vector<std::string> after_name(const Arguments& arguments);

}  // namespace moth::ctl
