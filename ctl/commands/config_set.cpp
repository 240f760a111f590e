// The sub-commands of `config` that change a file.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/base/json.h"
#include "api/schema/base64.h"
#include "ctl/commands/config_file.h"

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;

Outcome<std::string> one_word(Context& context, const Arguments& arguments) {
  if (arguments.words.size() == 1) return arguments.words[0];
  return context.usage_error("Unexpected args: exactly one NAME is expected");
}

Outcome<std::string> whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return refuse(fmt::format("could not read {}: no such file", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A file as the path to it, or as its content with --embed-certs.
Outcome<> put_file(const Arguments& arguments, const char* flag, std::string& path,
                   std::string& content) {
  if (!arguments.given(flag)) return {};
  const std::string& given = arguments.text(flag);
  if (arguments.flag("embed-certs")) {
    MOTH_ASSIGN(content, whole_file(given));
    path.clear();
  } else {
    std::error_code ignored;
    path = given.empty() ? "" : fs::absolute(given, ignored).lexically_normal().string();
    content.clear();
  }
  return {};
}

Outcome<int> run_set_cluster(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(std::string name, one_word(context, arguments));
  MOTH_ASSIGN(ConfigFile file, config_file(context, holds_cluster, name));
  KubeCluster& cluster = file.config.clusters[name];
  if (arguments.given("server")) {
    cluster.server = arguments.text("server");
    while (cluster.server.ends_with('/')) cluster.server.pop_back();
  }
  if (arguments.given("tls-server-name"))
    cluster.tls_server_name = arguments.text("tls-server-name");
  if (arguments.given("proxy-url")) cluster.proxy_url = arguments.text("proxy-url");
  if (arguments.given("insecure-skip-tls-verify")) {
    cluster.insecure_skip_tls_verify = arguments.flag("insecure-skip-tls-verify");
    if (cluster.insecure_skip_tls_verify) {
      if (!arguments.text("certificate-authority").empty())
        return refuse(
            "you cannot specify a certificate authority and insecure mode at the same time");
      cluster.certificate_authority.clear();
      cluster.certificate_authority_pem.clear();
    }
  }
  MOTH_TRY(put_file(arguments, "certificate-authority", cluster.certificate_authority,
                    cluster.certificate_authority_pem));
  if (!arguments.text("certificate-authority").empty()) cluster.insecure_skip_tls_verify = false;
  MOTH_TRY(file.write());
  context.print("Cluster \"{}\" set.\n", name);
  return 0;
}

// exec and auth-provider are kept as they are written; nothing here runs them.
Outcome<> put_plugins(const Arguments& arguments, KubeUser& user) {
  Json other = user.other.empty() ? Json::object() : Json::parse(user.other, nullptr, false);
  if (!other.is_object()) other = Json::object();
  if (arguments.given("auth-provider")) {
    user.auth_provider = arguments.text("auth-provider");
    other["auth-provider"]["name"] = user.auth_provider;
  }
  for (const std::string& text : arguments.texts("auth-provider-arg")) {
    auto equals = text.find('=');
    if (equals != std::string::npos)
      other["auth-provider"]["config"][text.substr(0, equals)] = text.substr(equals + 1);
    else if (text.ends_with('-') && other.contains("auth-provider"))
      other["auth-provider"]["config"].erase(text.substr(0, text.size() - 1));
  }
  if (arguments.given("exec-command")) {
    user.exec_command = arguments.text("exec-command");
    other["exec"]["command"] = user.exec_command;
    if (!other["exec"].contains("provideClusterInfo")) other["exec"]["provideClusterInfo"] = false;
  }
  if (!other.contains("exec")) {
    user.other = other.empty() ? "" : other.dump();
    return {};
  }
  Json& exec = other["exec"];
  if (arguments.given("exec-api-version")) exec["apiVersion"] = arguments.text("exec-api-version");
  if (arguments.given("exec-interactive-mode"))
    exec["interactiveMode"] = arguments.text("exec-interactive-mode");
  if (arguments.given("exec-provide-cluster-info"))
    exec["provideClusterInfo"] = arguments.flag("exec-provide-cluster-info");
  if (arguments.given("exec-arg")) exec["args"] = arguments.texts("exec-arg");
  for (const std::string& text : arguments.texts("exec-env")) {
    auto equals = text.find('=');
    if (equals == std::string::npos)
      return refuse(fmt::format("invalid --exec-env \"{}\": KEY=VALUE is expected", text));
    exec["env"].push_back({{"name", text.substr(0, equals)}, {"value", text.substr(equals + 1)}});
  }
  user.other = other.dump();
  return {};
}

Outcome<int> run_set_credentials(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(std::string name, one_word(context, arguments));
  if (arguments.given("token") && arguments.given("username"))
    return refuse(
        "you cannot specify more than one authentication method at the same time: "
        "--token and --username");
  MOTH_ASSIGN(ConfigFile file, config_file(context, holds_user, name));
  KubeUser& user = file.config.users[name];
  if (arguments.given("token")) {
    user.token = arguments.text("token");
    user.token_file.clear();
    user.username.clear();
    user.password.clear();
  }
  if (arguments.given("username") || arguments.given("password")) {
    user.token.clear();
    user.token_file.clear();
  }
  if (arguments.given("username")) user.username = arguments.text("username");
  if (arguments.given("password")) user.password = arguments.text("password");
  MOTH_TRY(put_file(arguments, "client-certificate", user.client_certificate,
                    user.client_certificate_pem));
  MOTH_TRY(put_file(arguments, "client-key", user.client_key, user.client_key_pem));
  MOTH_TRY(put_plugins(arguments, user));
  MOTH_TRY(file.write());
  context.print("User \"{}\" set.\n", name);
  return 0;
}

Outcome<int> run_set_context(Context& context, const Arguments& arguments) {
  bool current = arguments.flag("current");
  if (current == !arguments.words.empty())
    return refuse(current ? "you cannot specify both a context name and --current"
                          : "you must specify a non-empty context name or --current");
  std::string name;
  if (current) {
    MOTH_ASSIGN(Kubeconfig all, context.kubeconfig());
    name = all.current_context;
    if (name.empty()) return refuse("no current context is set");
  } else {
    name = arguments.words[0];
  }
  MOTH_ASSIGN(ConfigFile file, config_file(context, holds_context, name));
  bool known = file.config.contexts.contains(name);
  KubeContext& entry = file.config.contexts[name];
  if (arguments.given("namespace")) entry.namespace_ = arguments.text("namespace");
  if (arguments.given("cluster")) entry.cluster = arguments.text("cluster");
  if (arguments.given("user")) entry.user = arguments.text("user");
  MOTH_TRY(file.write());
  context.print("Context \"{}\" {}.\n", name, known ? "modified" : "created");
  return 0;
}

Outcome<int> run_rename_context(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 2)
    return context.usage_error("Unexpected args: two names are expected");
  const std::string &from = arguments.words[0], &to = arguments.words[1];
  MOTH_ASSIGN(ConfigFile file, config_file(context, holds_context, from));
  auto found = file.config.contexts.find(from);
  if (found == file.config.contexts.end())
    return refuse(fmt::format("cannot rename the context \"{}\", it's not in {}", from, file.path));
  if (file.config.contexts.contains(to))
    return refuse(
        fmt::format("cannot rename the context \"{}\", the context \"{}\" already exists in {}",
                    from, to, file.path));
  KubeContext kept = found->second;
  file.config.contexts.erase(found);
  file.config.contexts[to] = std::move(kept);
  if (file.config.current_context == from) file.config.current_context = to;
  MOTH_TRY(file.write());
  context.print("Context \"{}\" renamed to \"{}\".\n", from, to);
  return 0;
}

Outcome<int> delete_entry(Context& context, const Arguments& arguments, std::string_view what,
                          bool (*holds)(const Kubeconfig&, const std::string&),
                          void (*erase)(Kubeconfig&, const std::string&)) {
  MOTH_ASSIGN(std::string name, one_word(context, arguments));
  MOTH_ASSIGN(ConfigFile file, config_file(context, holds, name));
  if (!holds(file.config, name))
    return refuse(fmt::format("cannot delete {} {}, not in {}", what, name, file.path));
  if (what == "context" && file.config.current_context == name) {
    context.warn(
        "warning: this removed your active context, use \"moth config use-context\" to select a "
        "different one");
  }
  erase(file.config, name);
  MOTH_TRY(file.write());
  context.print("deleted {} {} from {}\n", what, name, file.path);
  return 0;
}

Outcome<int> run_delete_cluster(Context& context, const Arguments& arguments) {
  return delete_entry(context, arguments, "cluster", holds_cluster,
                      [](Kubeconfig& config, const std::string& name) {
                        config.clusters.erase(config.clusters.find(name));
                      });
}

Outcome<int> run_delete_context(Context& context, const Arguments& arguments) {
  return delete_entry(context, arguments, "context", holds_context,
                      [](Kubeconfig& config, const std::string& name) {
                        config.contexts.erase(config.contexts.find(name));
                      });
}

Outcome<int> run_delete_user(Context& context, const Arguments& arguments) {
  return delete_entry(context, arguments, "user", holds_user,
                      [](Kubeconfig& config, const std::string& name) {
                        config.users.erase(config.users.find(name));
                      });
}

// "clusters.NAME.server": the list, the entry's name (which may hold dots itself) and the member.
struct Property {
  std::string list, name, member;
};

Outcome<Property> parse_property(const Json& document, const std::string& text) {
  auto first = text.find('.');
  std::string list = text.substr(0, first);
  if (list != "clusters" && list != "users" && list != "contexts") return Property{"", "", text};
  if (first == std::string::npos) return Property{list, "", ""};
  std::string rest = text.substr(first + 1);
  for (const Json& entry : document.value(list, Json::array())) {
    std::string name = string_or(entry, "name");
    if (rest == name) return Property{list, name, ""};
    if (rest.starts_with(name + ".")) return Property{list, name, rest.substr(name.size() + 1)};
  }
  auto last = rest.find('.');
  if (last == std::string::npos) return Property{list, rest, ""};
  return Property{list, rest.substr(0, last), rest.substr(last + 1)};
}

std::string member_of_entry(const std::string& list) {
  return list.substr(0, list.size() - 1);  // clusters: cluster
}

Json* find_entry(Json& document, const Property& property, bool make) {
  Json& list = document[property.list];
  if (!list.is_array()) list = Json::array();
  for (Json& entry : list)
    if (string_or(entry, "name") == property.name) return &entry;
  if (!make) return nullptr;
  list.push_back({{"name", property.name}, {member_of_entry(property.list), Json::object()}});
  return &list.back();
}

Json::json_pointer pointer_of(const std::string& member) {
  std::string path;
  for (std::size_t from = 0; from <= member.size();) {
    auto end = std::min(member.find('.', from), member.size());
    path += "/" + member.substr(from, end - from);
    from = end + 1;
  }
  return Json::json_pointer(path);
}

Outcome<> write_document(ConfigFile& file, const Json& document) {
  MOTH_ASSIGN(file.config,
              Kubeconfig::from_json(document, fs::path(file.path).parent_path().string()));
  return file.write();
}

Outcome<int> run_set(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 2) {
    return context.usage_error("Unexpected args: PROPERTY_NAME and PROPERTY_VALUE are expected");
  }
  MOTH_ASSIGN(ConfigFile file, config_file(context));
  Json document = file.config.to_json();
  MOTH_ASSIGN(Property property, parse_property(document, arguments.words[0]));
  std::string text = arguments.words[1];
  if (property.member.ends_with("-data") && arguments.flag("set-raw-bytes"))
    text = schema::encode_base64(text);
  Json value = text;
  if (property.member == "insecure-skip-tls-verify" || property.member.ends_with("colors")) {
    if (text != "true" && text != "false")
      return refuse(fmt::format("can't set {} to \"{}\": true or false is expected",
                                arguments.words[0], text));
    value = text == "true";
  }
  if (!property.list.empty()) {
    if (property.name.empty() || property.member.empty())
      return refuse("can't set a map to a value: " + arguments.words[0] + ".MEMBER is expected");
    Json* entry = find_entry(document, property, true);
    (*entry)[member_of_entry(property.list)][pointer_of(property.member)] = value;
  } else {
    document[pointer_of(property.member)] = value;
  }
  MOTH_TRY(write_document(file, document));
  context.print("Property \"{}\" set.\n", arguments.words[0]);
  return 0;
}

void erase_member(Json& object, const std::string& member) {
  auto pointer = pointer_of(member);
  if (!object.contains(pointer)) return;
  object[pointer.parent_pointer()].erase(pointer.back());
}

Outcome<int> run_unset(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(std::string text, one_word(context, arguments));
  MOTH_ASSIGN(ConfigFile file, config_file(context));
  Json document = file.config.to_json();
  MOTH_ASSIGN(Property property, parse_property(document, text));
  if (property.list.empty()) {
    if (property.member != "current-context" && !property.member.starts_with("preferences"))
      return refuse(fmt::format("unable to parse {} after [] at api.Config", text));
    erase_member(document, property.member);
  } else if (property.name.empty()) {
    document[property.list] = Json::array();
  } else if (Json* entry = find_entry(document, property, false)) {
    if (!property.member.empty()) {
      erase_member((*entry)[member_of_entry(property.list)], property.member);
    } else {
      Json& list = document[property.list];
      list.erase(static_cast<std::size_t>(entry - &list[0]));
    }
  } else {
    return refuse(fmt::format("current map key `{}` is invalid", property.name));
  }
  MOTH_TRY(write_document(file, document));
  context.print("Property \"{}\" unset.\n", text);
  return 0;
}

FlagSpec embed_flag(std::string_view help) {
  return {"embed-certs", 0, FlagKind::kBool, "", help};
}

}  // namespace

Outcome<> ConfigFile::write() const {
  MOTH_TRY(write_kubeconfig(config, path));
  return {};
}

bool holds_context(const Kubeconfig& config, const std::string& name) {
  return config.contexts.contains(name);
}
bool holds_cluster(const Kubeconfig& config, const std::string& name) {
  return config.clusters.contains(name);
}
bool holds_user(const Kubeconfig& config, const std::string& name) {
  return config.users.contains(name);
}

Outcome<ConfigFile> config_file(Context& context,
                                bool (*holds)(const Kubeconfig&, const std::string&),
                                const std::string& name) {
  std::vector<std::string> files = context.kubeconfig_files();
  std::optional<ConfigFile> first;
  for (const std::string& path : files) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    MOTH_ASSIGN(Kubeconfig config, load_kubeconfig({path}, true));
    if (holds && holds(config, name)) return ConfigFile{path, std::move(config)};
    if (!first) first = ConfigFile{path, std::move(config)};
  }
  if (first) return *std::move(first);
  if (files.empty()) return refuse("there is no kubeconfig to change");
  return ConfigFile{files.front(), {}};
}

std::vector<Command> config_edit_commands() {
  return {
      {.name = "delete-cluster",
       .summary = "Delete the specified cluster from the kubeconfig",
       .usage = "NAME",
       .words = Words::kClusters,
       .run = run_delete_cluster},
      {.name = "delete-context",
       .summary = "Delete the specified context from the kubeconfig",
       .usage = "NAME",
       .words = Words::kContexts,
       .run = run_delete_context},
      {.name = "delete-user",
       .summary = "Delete the specified user from the kubeconfig",
       .usage = "NAME",
       .words = Words::kUsers,
       .run = run_delete_user},
      {.name = "rename-context",
       .summary = "Rename a context from the kubeconfig",
       .usage = "CONTEXT_NAME NEW_NAME",
       .words = Words::kContexts,
       .run = run_rename_context},
      {.name = "set",
       .summary = "Set an individual value in a kubeconfig file",
       .usage = "PROPERTY_NAME PROPERTY_VALUE",
       .examples = "moth config set contexts.moth.namespace demo",
       .flags = {{"set-raw-bytes", 0, FlagKind::kBool, "",
                  "The value of a ...-data property is not base64 yet."}},
       .run = run_set},
      {.name = "set-cluster",
       .summary = "Set a cluster entry in kubeconfig",
       .usage = "NAME [--server=server] [--certificate-authority=path] [--embed-certs]",
       .flags = {{"certificate-authority", 0, FlagKind::kText, "", "Path to its certificate."},
                 embed_flag("Put the certificate itself into the file."),
                 {"insecure-skip-tls-verify", 0, FlagKind::kBool, "",
                  "Do not check the server's certificate."},
                 {"proxy-url", 0, FlagKind::kText, "", "Address of a proxy."},
                 {"server", 0, FlagKind::kText, "", "Address of the API server."},
                 {"tls-server-name", 0, FlagKind::kText, "", "Name in its certificate."}},
       .words = Words::kClusters,
       .run = run_set_cluster},
      {.name = "set-context",
       .summary = "Set a context entry in kubeconfig",
       .usage = "[NAME | --current] [--cluster=C] [--user=U] [--namespace=N]",
       .flags = {{"cluster", 0, FlagKind::kText, "", "Its cluster."},
                 {"current", 0, FlagKind::kBool, "", "Change the current context."},
                 {"namespace", 'n', FlagKind::kText, "", "Its namespace."},
                 {"user", 0, FlagKind::kText, "", "Its user."}},
       .words = Words::kContexts,
       .run = run_set_context},
      {.name = "set-credentials",
       .summary = "Set a user entry in kubeconfig",
       .usage = "NAME [--client-certificate=path] [--client-key=path] [--token=token] "
                "[--username=name] [--password=secret]",
       .flags = {{"auth-provider", 0, FlagKind::kText, "", "Kept for other clients."},
                 {"auth-provider-arg", 0, FlagKind::kTexts, "", "KEY=VALUE."},
                 {"client-certificate", 0, FlagKind::kText, "", "Path to the certificate."},
                 {"client-key", 0, FlagKind::kText, "", "Path to its key."},
                 embed_flag("Put certificate and key themselves into the file."),
                 {"exec-api-version", 0, FlagKind::kText, "", "Kept for other clients."},
                 {"exec-arg", 0, FlagKind::kList, "", "Kept for other clients."},
                 {"exec-command", 0, FlagKind::kText, "", "Kept for other clients."},
                 {"exec-env", 0, FlagKind::kTexts, "", "Kept for other clients."},
                 {"exec-interactive-mode", 0, FlagKind::kText, "", "Kept for other clients."},
                 {"exec-provide-cluster-info", 0, FlagKind::kBool, "", "Kept for other clients."},
                 {"password", 0, FlagKind::kText, "", "Password for basic authentication."},
                 {"token", 0, FlagKind::kText, "", "Bearer token."},
                 {"username", 0, FlagKind::kText, "", "User name for basic authentication."}},
       .words = Words::kUsers,
       .run = run_set_credentials},
      {.name = "unset",
       .summary = "Unset an individual value in a kubeconfig file",
       .usage = "PROPERTY_NAME",
       .run = run_unset}};
}

}  // namespace moth::ctl
